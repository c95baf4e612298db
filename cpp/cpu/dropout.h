// What the ops with dropout share.
#pragma once
#include <cstdint>

namespace fles::cpu {

// ERR_ARGUMENT_VALUE unless 0 <= dropout < 1, seed >= 0, and texts are numbered when dropout is not 0.
void check_dropout(float dropout, int seed, const int32_t* text_ids);

}  // namespace fles::cpu

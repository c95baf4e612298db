// The threads that blocks and products are spread over.
#pragma once
#include <cstdint>
#include <functional>

#include "emulate/block.h"

namespace emulate {

// Calls body(index, worker) for every index in 0..count-1, where no two calls at a time have the same worker, which is
// in 0..FLES_EMULATE_THREADS-1. The caller holds the lock of the host API.
void parallel_for(int64_t count, const std::function<void(int64_t index, int worker)>& body);

// Runs all blocks of a grid. Returns a block that failed, or null.
const Block* run_blocks(Launch& launch);

}  // namespace emulate

// The CUDA backend as the registry opens it: a library of its own with this one symbol.
#pragma once
#include "backend/backend.h"

namespace fles::cuda {

#define FLES_OP(name, Arguments) void name(void* self, const Arguments& arguments);
#include "ops/ops.def"
#undef FLES_OP

}  // namespace fles::cuda

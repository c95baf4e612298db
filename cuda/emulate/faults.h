// Signals in kernels.
#pragma once

namespace emulate {

// From now on a CUDA thread that reads or writes where there is no memory, or divides an integer by zero, ends its
// launch with cudaErrorIllegalAddress and not the process. Faults of other code go to whoever handled them before.
// Sanitizers, which say more, are left in charge.
void catch_faults();

}  // namespace emulate

// What the host asks of the device, line by line in the file that FLES_EMULATE_LOG names: "THREAD WHAT", threads of the
// host numbered in the order of their first line.
//
//   launch                          of a kernel
//   allocate, free                  device memory; with allocate, the bytes
//   pin, unpin                      pinned memory; with pin, the bytes
//   create, destroy                 stream, event, cublas or, of cuBLASLt, matmul, layout or preference
//   find algorithms                 by cuBLASLt
//   multiply                        by cuBLAS; "with epilogue" and its number: by cuBLASLt
//   copy to device | to host | within the device   and the bytes
//   wait, wait for work             a call that waits; the second where not all that it waits for was done
#pragma once

namespace emulate {

// The caller holds the lock of the host API.
void log(const char* format, ...) __attribute__((format(printf, 1, 2)));
void log_wait(bool for_work);

}  // namespace emulate

// Work cut into parts that depend on its size alone, so that what is summed within a part does not depend on threads.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/threads.h"

namespace fles::cpu {

constexpr int64_t part_count(int64_t count, int64_t size) { return (count + size - 1) / size; }

// body(first, last) for the parts of 0..count-1, each of `size` but for the last; last is one beyond.
template <class Body>
void parallel_parts(ThreadPool& pool, int64_t count, int64_t size, const Body& body) {
  pool.parallel_for(part_count(count, size),
                    [&](int64_t part, int) { body(part * size, std::min(count, (part + 1) * size)); });
}

constexpr int64_t kPartValues = int64_t{1} << 15;  // of element-wise work: enough to be worth handing out

}  // namespace fles::cpu

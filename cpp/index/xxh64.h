// XXH64 (Collet, xxHash specification 0.1.1), the checksum of index files: 64 bits, several bytes a cycle.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fles {

uint64_t xxh64(const void* data, size_t bytes, uint64_t seed = 0);

}  // namespace fles

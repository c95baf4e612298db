// How often the program asked for memory by operator new. Only differences mean something.
#pragma once
#include <cstdint>

namespace fles {
int64_t allocations();
}

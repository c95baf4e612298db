// What this processor can do.
#pragma once
#include <string>
#include <vector>

namespace fles::cpu {

// Instruction sets of interest that the processor reports, by their names in /proc/cpuinfo without underscores.
std::vector<std::string> feature_names();

}  // namespace fles::cpu

// The limits of this machine, measured: what a benchmark holds its figures against (Williams et al. 2009, "Roofline").
#pragma once

namespace fles::cpu {

struct Roofline {
  double gflops;  // float32 multiply-adds count 2, all threads of the pool, at the chosen level
  double gbytes;  // read from memory a second, all threads
};

// Takes some tenths of a second on every thread.
Roofline measure_roofline();

}  // namespace fles::cpu

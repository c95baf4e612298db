// The limits of this machine, measured: what a benchmark holds its figures against (Williams et al. 2009, "Roofline").
#pragma once

namespace fles::cpu {

struct Roofline {
  double gflops;  // float32 multiply-adds count 2, all threads of the pool, at the chosen level
  double gbytes;  // read from memory a second, all threads
};

// GFLOP/s of float32 multiply-adds on registers, all threads, while about `flop` are done, or as many as take a tenth
// of a millisecond. Measured in turn with something else, it is what the processor could have done meanwhile, whoever
// shares it.
double multiply_add_rate(double flop);

// The best of several. Takes some tenths of a second on every thread.
Roofline measure_roofline();

}  // namespace fles::cpu

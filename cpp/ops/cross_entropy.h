// Cross-entropy of softmax over the vocabulary, with its gradient.
//   logits   (M, V)   labels (M) in 0..V-1
//   losses   (M)      -log softmax(logits)[label]
//   correct  (M)      1 where the label has the largest logit, the lowest term winning a tie, else 0
//   d_logits (M, V)   assigned: scale (softmax(logits) - one at the label); may be logits
#pragma once
#include <cstdint>

namespace fles {

struct CrossEntropy {
  const float* logits;
  const int32_t* labels;
  float* losses;
  int32_t* correct;
  float* d_logits;
  int M, V;
  float scale;
};

template <class Visitor>
void fields(Visitor& v, CrossEntropy& a) {
  v.size("M", a.M), v.size("V", a.V);
  v.number("scale", a.scale);
  v.input("logits", a.logits, int64_t{a.M} * a.V);
  v.input("labels", a.labels, int64_t{a.M});
  v.output("losses", a.losses, int64_t{a.M});
  v.output("correct", a.correct, int64_t{a.M});
  v.output("d_logits", a.d_logits, int64_t{a.M} * a.V);
}

}  // namespace fles

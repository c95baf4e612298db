// What every search algorithm takes and gives.
#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

#include "core/error.h"
#include "index/inverted_index.h"

namespace fles {

// A sparse query. A document's score is the float32 sum, in the order of these terms, of the float32 products
// weights[i] * (the document's weight of terms[i]), over the terms it has.
struct Query {
  const uint32_t* terms;  // distinct, < index.terms()
  const float* weights;   // finite, > 0
  size_t count;
};

struct Hit {
  uint32_t document;
  float score;  // > 0
};

// Higher scores first, equal scores by the lower document number.
inline bool ranks_before(const Hit& a, const Hit& b) {
  return a.score > b.score || (a.score == b.score && a.document < b.document);
}

// Adds weight * (each posting's weight) to scores[posting's document].
// The product is rounded before it is added, on every processor and in every algorithm, so that all give the same bits.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#endif
inline void add_postings(float* scores, const Segment& postings, float weight) {
#if defined(__clang__)
#pragma clang fp contract(off)
#endif
  uint32_t i = 0;
  for (; i + 8 <= postings.count; i += 8) {
    float products[8];  // vectorised; the additions cannot be
    for (uint32_t j = 0; j < 8; ++j) products[j] = weight * postings.weights[i + j];
    for (uint32_t j = 0; j < 8; ++j) scores[postings.documents[i + j]] += products[j];
  }
  for (; i < postings.count; ++i) scores[postings.documents[i]] += weight * postings.weights[i];
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

inline void stop_if(const std::atomic<bool>& cancelled) {
  if (cancelled.load(std::memory_order_relaxed)) fail("ERR_ABORTED", "the search was cancelled");
}

}  // namespace fles

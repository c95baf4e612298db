// What goes into a training step and what it reports. lib/native.ts has the same structures with their meaning.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "model/ragged_batch.h"
#include "ops/flops.h"

namespace fles {

struct Texts {
  std::vector<int32_t> tokens, offsets;
  RaggedBatch view() const {
    return {tokens.data(), offsets.data(), static_cast<int>(offsets.size()) - 1, static_cast<int>(tokens.size())};
  }
  int count() const { return static_cast<int>(offsets.size()) - 1; }
};

// A teacher's sparse vectors, a row a text; no offsets: there is no teacher.
struct TeacherRows {
  std::vector<int32_t> offsets, terms;
  std::vector<float> weights;
  explicit operator bool() const { return !offsets.empty(); }
};

struct TrainingBatch {
  Texts queries, documents;
  std::vector<int32_t> positives, owners, duplicates;
  std::vector<int32_t> excluded;      // (E, 2) query, document
  std::vector<float> teacher_scores;  // (Q, D), or empty
  TeacherRows teacher_queries, teacher_documents;
};

enum class LossTerm : int32_t {
  kInfoNce,
  kFlopsDocuments,
  kFlopsQueries,
  kAntiCollapse,
  kAntiZero,
  kMarginMse,
  kKlDivergence,
  kRanking,
  kVocabularyMse,
  kVocabularyCosine,
};
constexpr std::array<const char*, 10> kLossTerms = {"infoNCE",       "flopsDocuments",  "flopsQueries", "antiCollapse",
                                                    "antiZero",      "marginMSE",       "klDivergence", "ranking",
                                                    "vocabularyMSE", "vocabularyCosine"};

enum class Similarity : int32_t { kDot, kCosine };
enum class Negatives : int32_t { kAll, kOwn };

struct FlopsSettings {
  FlopsNorm norm = FlopsNorm::kL2;
  std::vector<float> term_weights;  // (V), or empty
  int minimum_terms = 0;
};

struct ObjectiveSettings {
  std::array<double, kLossTerms.size()> weights{};
  Similarity similarity = Similarity::kDot;
  Negatives negatives = Negatives::kAll;
  double temperature = 1, distillation_temperature = 1, teacher_temperature = 1;
  FlopsSettings flops_documents, flops_queries;
  int collapse_k = 16;
  double collapse_margin = 0.5;
};

struct UpdateSettings {
  double rate = 0, weight_decay = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, clip = 0;
};

struct TermReport {
  double value = 0, weight = 0, gradient_norm = 0;
};

struct Losses {
  double loss = 0;
  std::array<TermReport, kLossTerms.size()> terms{};
  int64_t document_terms = 0, query_terms = 0;
  std::vector<int32_t> document_frequencies, query_frequencies;
  size_t head_bytes = 0;
};

struct UpdateReport {
  double gradient_norm = 0;
  bool vanished = false;
  int64_t steps = 0;
  size_t bytes = 0;
};

struct Seconds {
  double forward = 0, head = 0, losses = 0, recompute = 0, head_backward = 0, backward = 0, update = 0;
};

struct StepReport {
  Losses losses;
  UpdateReport update;
  Seconds seconds;
};

struct MaskedBatch {
  Texts texts;
  std::vector<int32_t> labels;  // (T) -1: nothing to predict
};

struct MaskedReport {
  double loss = 0, accuracy = 0;
  int64_t predictions = 0;
  size_t head_bytes = 0;
  UpdateReport update;
  Seconds seconds;
};

}  // namespace fles

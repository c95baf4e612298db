#include "train/objective.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "train/ranking.h"

namespace fles {
namespace {

// printf may write the sign of a NaN.
std::string text_of(double value) { return std::isnan(value) ? "NaN" : std::to_string(value); }

}  // namespace

// What the terms of one step share. Each term assigns the gradients of the vectors' weights in turn and lets them flow
// to the pooled values at once, so that one matrix of gradients serves all terms.
struct Objective::Step {
  Objective& o;
  const TrainingBatch& batch;
  const ObjectiveSettings& settings;
  const float* pooled;
  float *d_pooled, *d_weights;  // (Q + D, V)
  float* weights;               // likewise; null where the pooled values are the weights
  Losses& losses;
  std::vector<int32_t> counts = {};  // terms of each row

  const Backend& backend = o.backend_;
  const int Q = batch.queries.count(), D = batch.documents.count(), V = o.V_;
  const uint8_t* drop = reinterpret_cast<const uint8_t*>(o.drop_.data());
  float* scalars = o.scalars_.reserve(backend, 2);
  float* scores = o.scores_.reserve(backend, static_cast<size_t>(Q) * D);
  float* query_squares = o.query_squares_.reserve(backend, Q);
  float* document_squares = o.document_squares_.reserve(backend, D);
  std::vector<double> similarities = {},
                      lengths = {};  // (Q, D): inner products or cosines, and what they were divided by
  std::vector<float> host_query_squares = {}, host_document_squares = {};

  struct Rows {
    int first, count;
  };
  const Rows queries{0, Q}, documents{Q, D};
  const float* weights_of(Rows rows) const { return (o.dense_ ? pooled : weights) + int64_t{rows.first} * V; }
  float* d_weights_of(Rows rows) const { return d_weights + int64_t{rows.first} * V; }

  double weight(LossTerm term) const { return settings.weights[static_cast<size_t>(term)]; }
  TermReport& report(LossTerm term) const { return losses.terms[static_cast<size_t>(term)]; }

  double scalar(int i) const {
    float value;
    backend.download(backend.self, &value, scalars + i, sizeof value);
    return value;
  }
  std::vector<float> downloaded(const float* from, size_t count) const {
    std::vector<float> values(count);
    backend.download(backend.self, values.data(), from, count * sizeof(float));
    return values;
  }
  // Host values, of 4 bytes each, in the backend's memory.
  template <class T>
  const T* uploaded(GrowingBuffer& to, const std::vector<T>& values) const {
    float* memory = to.reserve(backend, values.size());
    backend.upload(backend.self, memory, values.data(), values.size() * sizeof(T));
    return reinterpret_cast<const T*>(memory);
  }

  // From the gradients of the rows' weights to those of their pooled values.
  void flow(LossTerm term, Rows rows) {
    if (rows.count == 0 || (o.bag_queries_ && rows.first == 0)) return;
    if (o.dense_) return flow_as_is(term, rows);
    backend.sparse_weights_backward(backend.self, {.pooled = pooled + int64_t{rows.first} * V,
                                                   .drop = drop,
                                                   .d_weights = d_weights_of(rows),
                                                   .d_pooled = d_pooled + int64_t{rows.first} * V,
                                                   .squares = scalars,
                                                   .B = rows.count,
                                                   .V = V,
                                                   .activation = o.activation_});
    report(term).gradient_norm += scalar(0);  // squares until finish()
  }
  void flow_as_is(LossTerm term, Rows rows) {
    const int32_t offsets[2] = {0, rows.count};
    float* sum = d_pooled + int64_t{rows.first} * V;
    // One text, nothing dropped: a sum.
    backend.dropout(backend.self, {.in = d_weights_of(rows),
                                   .residual = sum,
                                   .offsets = offsets,
                                   .text_ids = nullptr,
                                   .out = sum,
                                   .B = 1,
                                   .T = rows.count,
                                   .C = V,
                                   .dropout = 0,
                                   .seed = 0});
    backend.square_sum(backend.self, {d_weights_of(rows), scalars, rows.count * V});
    report(term).gradient_norm += scalar(0);
  }

  // A dense vector has no terms to count, to hold down or to learn from a sparse one.
  void require_comparisons_alone() const {
    for (size_t i = 0; i < kLossTerms.size(); ++i) {
      const auto term = static_cast<LossTerm>(i);
      const bool compares =
          term == LossTerm::kInfoNce || term == LossTerm::kMarginMse || term == LossTerm::kKlDivergence;
      if (compares || settings.weights[i] == 0) continue;
      fail("ERR_OPTION_RANGE", "the weight of %s is %g, expected 0 for a dense encoder", kLossTerms[i],
           settings.weights[i]);
    }
  }

  void vectors() {
    auto* device_counts = reinterpret_cast<int32_t*>(o.counts_.reserve(backend, Q + D));
    auto* frequencies = reinterpret_cast<int32_t*>(o.frequencies_.reserve(backend, V));
    counts.resize(Q + D);
    const auto sparse = [&](Rows rows, std::vector<int32_t>& out) {
      backend.sparse_weights(backend.self, {.pooled = pooled + int64_t{rows.first} * V,
                                            .drop = drop,
                                            .weights = weights + int64_t{rows.first} * V,
                                            .counts = device_counts + rows.first,
                                            .frequencies = frequencies,
                                            .B = rows.count,
                                            .V = V,
                                            .activation = o.activation_});
      out.resize(V);
      backend.download(backend.self, out.data(), frequencies, V * sizeof(int32_t));
      backend.download(backend.self, counts.data() + rows.first, device_counts + rows.first,
                       rows.count * sizeof(int32_t));
    };
    sparse(documents, losses.document_frequencies);
    if (o.bag_queries_)
      bag();
    else
      sparse(queries, losses.query_frequencies);
    for (int q = 0; q < Q; ++q) losses.query_terms += counts[q];
    for (int d = 0; d < D; ++d) losses.document_terms += counts[Q + d];
  }

  void bag() {
    std::vector<float> row(V);
    losses.query_frequencies.assign(V, 0);
    for (int q = 0; q < Q; ++q) {
      std::fill(row.begin(), row.end(), 0.0f);
      for (int t = batch.queries.offsets[q]; t < batch.queries.offsets[q + 1]; ++t) {
        const int token = batch.queries.tokens[t];
        if (o.bag_dropped_[token] == 0) row[token] = 1.0f;
      }
      counts[q] = 0;
      for (int v = 0; v < V; ++v) counts[q] += row[v] > 0, losses.query_frequencies[v] += row[v] > 0;
      backend.upload(backend.self, weights + int64_t{q} * V, row.data(), V * sizeof(float));
    }
  }

  void compare() {
    const size_t pairs = static_cast<size_t>(Q) * D;
    backend.scores(backend.self, {.queries = weights_of(queries),
                                  .documents = weights_of(documents),
                                  .scores = scores,
                                  .query_squares = query_squares,
                                  .document_squares = document_squares,
                                  .Q = Q,
                                  .D = D,
                                  .V = V});
    const std::vector<float> products = downloaded(scores, pairs);
    host_query_squares = downloaded(query_squares, Q);
    host_document_squares = downloaded(document_squares, D);
    similarities.assign(products.begin(), products.end());
    lengths.assign(pairs, 1.0);
    if (settings.similarity != Similarity::kCosine) return;
    for (size_t i = 0; i < pairs; ++i) {
      lengths[i] = std::sqrt(static_cast<double>(host_query_squares[i / D])) *
                   std::sqrt(static_cast<double>(host_document_squares[i % D]));
      similarities[i] = lengths[i] > 0 ? similarities[i] / lengths[i] : 0.0;  // a zero vector is like nothing
    }
  }

  // A loss over the similarities: to the gradients of inner products and squared norms, then of the vectors.
  void ranking(LossTerm term, const RankingLoss& loss) {
    std::vector<float> d_scores(loss.gradient.size());
    std::vector<double> d_query(Q, 0.0), d_document(D, 0.0);
    for (size_t i = 0; i < d_scores.size(); ++i) {
      if (!(lengths[i] > 0)) continue;
      const double gradient = weight(term) * loss.gradient[i];
      d_scores[i] = static_cast<float>(gradient / lengths[i]);
      if (settings.similarity != Similarity::kCosine) continue;
      d_query[i / D] -= gradient * similarities[i] / (2.0 * host_query_squares[i / D]);
      d_document[i % D] -= gradient * similarities[i] / (2.0 * host_document_squares[i % D]);
    }
    uploaded(o.scores_, d_scores);
    uploaded(o.query_squares_, std::vector<float>(d_query.begin(), d_query.end()));
    uploaded(o.document_squares_, std::vector<float>(d_document.begin(), d_document.end()));
    backend.scores_backward(backend.self, {.queries = weights_of(queries),
                                           .documents = weights_of(documents),
                                           .d_scores = scores,
                                           .d_query_squares = query_squares,
                                           .d_document_squares = document_squares,
                                           .d_queries = d_weights_of(queries),
                                           .d_documents = d_weights_of(documents),
                                           .Q = Q,
                                           .D = D,
                                           .V = V});
    report(term).value = loss.value;
    flow(term, queries), flow(term, documents);
  }

  void all_rankings() {
    const auto candidates = candidates_of(batch, settings.negatives);
    if (weight(LossTerm::kInfoNce) > 0) {
      ranking(LossTerm::kInfoNce, info_nce(batch, candidates, similarities, settings.temperature));
    }
    if (weight(LossTerm::kMarginMse) > 0) ranking(LossTerm::kMarginMse, margin_mse(batch, similarities));
    const auto divergence = [&](LossTerm term, const auto& documents_of, const std::vector<double>& teacher) {
      ranking(term, kl_divergence(documents_of, teacher, similarities, D, settings.teacher_temperature,
                                  settings.distillation_temperature));
    };
    if (weight(LossTerm::kKlDivergence) > 0) {
      divergence(LossTerm::kKlDivergence, candidates_of(batch, Negatives::kAll),
                 std::vector<double>(batch.teacher_scores.begin(), batch.teacher_scores.end()));
    }
    if (weight(LossTerm::kRanking) > 0) {
      divergence(LossTerm::kRanking, candidates,
                 teacher_similarities(batch.teacher_queries, batch.teacher_documents, settings.similarity));
    }
  }

  // The op flops on some rows; returns its value.
  double flops_of(Rows rows, FlopsNorm norm, const float* mask, const float* term_weights, double scale) {
    backend.flops(backend.self, {.weights = weights_of(rows),
                                 .mask = mask,
                                 .term_weights = term_weights,
                                 .value = scalars,
                                 .d_weights = d_weights_of(rows),
                                 .B = rows.count,
                                 .V = V,
                                 .scale = static_cast<float>(scale),
                                 .norm = norm});
    return scalar(0);
  }

  void flops(LossTerm term, const FlopsSettings& flops, Rows rows) {
    if (weight(term) == 0) return;
    const float *mask = nullptr, *term_weights = nullptr;
    if (flops.minimum_terms > 0) {
      std::vector<float> counted(rows.count);
      for (int b = 0; b < rows.count; ++b) counted[b] = counts[rows.first + b] > flops.minimum_terms ? 1.0f : 0.0f;
      mask = uploaded(o.mask_, counted);
    }
    if (!flops.term_weights.empty()) term_weights = uploaded(o.term_weights_, flops.term_weights);
    report(term).value = flops_of(rows, flops.norm, mask, term_weights, weight(term));
    flow(term, rows);
  }

  // 1 / (sum of the queries' weights)^2 + 1 / (sum of the documents')^2; a sum is the L1 of flops times the rows.
  void anti_zero() {
    const LossTerm term = LossTerm::kAntiZero;
    if (weight(term) == 0) return;
    for (const Rows rows : {queries, documents}) {
      const double sum = rows.count * flops_of(rows, FlopsNorm::kL1, nullptr, nullptr, 0);
      report(term).value += 1.0 / (sum * sum);
      flops_of(rows, FlopsNorm::kL1, nullptr, nullptr, weight(term) * -2.0 / (sum * sum * sum) * rows.count);
      flow(term, rows);
    }
  }

  void anti_collapse() {
    const LossTerm term = LossTerm::kAntiCollapse;
    if (weight(term) == 0) return;
    backend.anti_collapse(backend.self, {.pooled = pooled + int64_t{Q} * V,
                                         .drop = drop,
                                         .value = scalars,
                                         .d_pooled = d_pooled + int64_t{Q} * V,
                                         .squares = scalars + 1,
                                         .B = D,
                                         .V = V,
                                         .k = settings.collapse_k,
                                         .margin = static_cast<float>(settings.collapse_margin),
                                         .scale = static_cast<float>(weight(term))});
    report(term).value = scalar(0);
    report(term).gradient_norm = scalar(1);
  }

  // Mean over all texts: queries and documents weigh by their numbers. Bag queries have nothing to learn.
  void distance(LossTerm term, VocabularyDistanceKind kind) {
    if (weight(term) == 0) return;
    const double texts = o.bag_queries_ ? D : Q + D;
    const auto one = [&](Rows rows, const TeacherRows& teacher) {
      const int32_t* terms = uploaded(o.teacher_terms_, teacher.terms);
      const float* values = uploaded(o.teacher_weights_, teacher.weights);
      const double share = rows.count / texts;
      backend.vocabulary_distance(backend.self, {.weights = weights_of(rows),
                                                 .offsets = teacher.offsets.data(),
                                                 .terms = terms,
                                                 .values = values,
                                                 .value = scalars,
                                                 .d_weights = d_weights_of(rows),
                                                 .B = rows.count,
                                                 .V = V,
                                                 .N = static_cast<int>(teacher.terms.size()),
                                                 .scale = static_cast<float>(weight(term) * share),
                                                 .kind = kind});
      report(term).value += share * scalar(0);
      flow(term, rows);
    };
    if (!o.bag_queries_) one(queries, batch.teacher_queries);
    one(documents, batch.teacher_documents);
  }

  void finish() {
    for (size_t i = 0; i < kLossTerms.size(); ++i) {
      TermReport& term = losses.terms[i];
      term.weight = settings.weights[i];
      term.gradient_norm = std::sqrt(term.gradient_norm);
      losses.loss += term.weight * term.value;
      if (!std::isfinite(term.value) || !std::isfinite(term.gradient_norm)) {
        fail("ERR_LOSS_NOT_FINITE",
             "%s is %s and the norm of its gradient %s, expected numbers; the weights are as before this step: lower "
             "the "
             "learning rate or the weight of this term",
             kLossTerms[i], text_of(term.value).c_str(), text_of(term.gradient_norm).c_str());
      }
    }
  }
};

Objective::Objective(const Backend& backend, const ObjectiveOptions& options)
    : backend_(backend),
      V_(options.columns),
      dense_(options.dense),
      activation_(activation_of(options.pooling)),
      bag_queries_(options.bag_queries) {
  const auto mask_of = [&](const std::vector<int32_t>& terms) {
    std::vector<uint8_t> mask((static_cast<size_t>(V_) + 3) / 4 * 4, 0);
    for (const int32_t term : terms) {
      if (term >= 0 && term < V_) mask[term] = 1;
    }
    return mask;
  };
  bag_dropped_ = mask_of(options.bag_dropped);
  if (!options.dropped.empty()) {
    const std::vector<uint8_t> mask = mask_of(options.dropped);
    drop_ = Buffer(backend, mask.size() / 4);
    backend.upload(backend.self, drop_.data(), mask.data(), mask.size());
  }
}

Losses Objective::evaluate(const TrainingBatch& batch, const ObjectiveSettings& settings, const float* pooled,
                           float* d_pooled, float* workspace) {
  const size_t matrix = static_cast<size_t>(batch.queries.count() + batch.documents.count()) * V_;
  backend_.clear(backend_.self, d_pooled, matrix * sizeof(float));
  Losses losses;
  Step step{*this, batch, settings, pooled, d_pooled, workspace, dense_ ? nullptr : workspace + matrix, losses};
  if (dense_)
    step.require_comparisons_alone();
  else
    step.vectors();
  step.compare();
  step.all_rankings();
  step.flops(LossTerm::kFlopsDocuments, settings.flops_documents, step.documents);
  step.flops(LossTerm::kFlopsQueries, settings.flops_queries, step.queries);
  step.anti_collapse();
  step.anti_zero();
  step.distance(LossTerm::kVocabularyMse, VocabularyDistanceKind::kSquared);
  step.distance(LossTerm::kVocabularyCosine, VocabularyDistanceKind::kCosine);
  step.finish();
  return losses;
}

}  // namespace fles

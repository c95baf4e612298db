#include "train/objective.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "train/ranking.h"

namespace fles {

// What the terms of one step share. Each term assigns the gradients of the vectors' weights in turn and lets them flow
// to the pooled values at once, so that one matrix of gradients serves all terms.
struct Objective::Step {
  Objective& o;
  const TrainingBatch& batch;
  const ObjectiveSettings& settings;
  const float* pooled;
  float* d_pooled;
  Losses& losses;
  std::vector<int32_t> counts = {};  // terms of each row

  const Backend& backend = o.backend_;
  const int Q = batch.queries.count(), D = batch.documents.count(), V = o.V_;
  const uint8_t* drop = reinterpret_cast<const uint8_t*>(o.drop_.data());
  Buffer scalars{backend, 2};
  Buffer scores = {}, query_squares = {}, document_squares = {};
  std::vector<double> similarities = {},
                      lengths = {};  // (Q, D): inner products or cosines, and what they were divided by
  std::vector<float> host_query_squares = {}, host_document_squares = {};

  struct Rows {
    int first, count;
  };
  const Rows queries{0, Q}, documents{Q, D};
  float* at(Buffer& matrix, Rows rows) const { return matrix.data() + int64_t{rows.first} * V; }

  double weight(LossTerm term) const { return settings.weights[static_cast<size_t>(term)]; }
  TermReport& report(LossTerm term) const { return losses.terms[static_cast<size_t>(term)]; }

  double scalar(int i) const {
    float value;
    backend.download(backend.self, &value, scalars.data() + i, sizeof value);
    return value;
  }
  std::vector<float> downloaded(const Buffer& buffer, size_t count) const {
    std::vector<float> values(count);
    backend.download(backend.self, values.data(), buffer.data(), count * sizeof(float));
    return values;
  }

  // From the gradients of the rows' weights to those of their pooled values.
  void flow(LossTerm term, Rows rows) {
    if (rows.count == 0 || (o.bag_queries_ && rows.first == 0)) return;
    backend.sparse_weights_backward(backend.self, {.pooled = pooled + int64_t{rows.first} * V,
                                                   .drop = drop,
                                                   .d_weights = at(o.d_weights_, rows),
                                                   .d_pooled = d_pooled + int64_t{rows.first} * V,
                                                   .squares = scalars.data(),
                                                   .B = rows.count,
                                                   .V = V,
                                                   .activation = o.activation_});
    report(term).gradient_norm += scalar(0);  // squares until finish()
  }

  void vectors() {
    Buffer device_counts(backend, Q + D), frequencies(backend, V);
    counts.resize(Q + D);
    const auto sparse = [&](Rows rows, std::vector<int32_t>& out) {
      auto* ints = reinterpret_cast<int32_t*>(device_counts.data()) + rows.first;
      backend.sparse_weights(backend.self, {.pooled = pooled + int64_t{rows.first} * V,
                                            .drop = drop,
                                            .weights = at(o.weights_, rows),
                                            .counts = ints,
                                            .frequencies = reinterpret_cast<int32_t*>(frequencies.data()),
                                            .B = rows.count,
                                            .V = V,
                                            .activation = o.activation_});
      out.resize(V);
      backend.download(backend.self, out.data(), frequencies.data(), V * sizeof(int32_t));
      backend.download(backend.self, counts.data() + rows.first, ints, rows.count * sizeof(int32_t));
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
      backend.upload(backend.self, at(o.weights_, {q, 1}), row.data(), V * sizeof(float));
    }
  }

  void compare() {
    const size_t pairs = static_cast<size_t>(Q) * D;
    scores = Buffer(backend, pairs), query_squares = Buffer(backend, Q), document_squares = Buffer(backend, D);
    backend.scores(backend.self, {.queries = at(o.weights_, queries),
                                  .documents = at(o.weights_, documents),
                                  .scores = scores.data(),
                                  .query_squares = query_squares.data(),
                                  .document_squares = document_squares.data(),
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
    const auto upload = [&](Buffer& to, const auto& values) {
      const std::vector<float> floats(values.begin(), values.end());
      backend.upload(backend.self, to.data(), floats.data(), floats.size() * sizeof(float));
    };
    upload(scores, d_scores), upload(query_squares, d_query), upload(document_squares, d_document);
    backend.scores_backward(backend.self, {.queries = at(o.weights_, queries),
                                           .documents = at(o.weights_, documents),
                                           .d_scores = scores.data(),
                                           .d_query_squares = query_squares.data(),
                                           .d_document_squares = document_squares.data(),
                                           .d_queries = at(o.d_weights_, queries),
                                           .d_documents = at(o.d_weights_, documents),
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
    backend.flops(backend.self, {.weights = at(o.weights_, rows),
                                 .mask = mask,
                                 .term_weights = term_weights,
                                 .value = scalars.data(),
                                 .d_weights = at(o.d_weights_, rows),
                                 .B = rows.count,
                                 .V = V,
                                 .scale = static_cast<float>(scale),
                                 .norm = norm});
    return scalar(0);
  }

  void flops(LossTerm term, const FlopsSettings& flops, Rows rows) {
    if (weight(term) == 0) return;
    Buffer mask, term_weights;
    if (flops.minimum_terms > 0) {
      std::vector<float> counted;
      for (int b = 0; b < rows.count; ++b)
        counted.push_back(counts[rows.first + b] > flops.minimum_terms ? 1.0f : 0.0f);
      mask = o.uploaded(counted.data(), counted.size());
    }
    if (!flops.term_weights.empty()) term_weights = o.uploaded(flops.term_weights.data(), flops.term_weights.size());
    report(term).value = flops_of(rows, flops.norm, mask.data(), term_weights.data(), weight(term));
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
                                         .value = scalars.data(),
                                         .d_pooled = d_pooled + int64_t{Q} * V,
                                         .squares = scalars.data() + 1,
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
      const Buffer terms = o.uploaded(teacher.terms.data(), teacher.terms.size());
      const Buffer values = o.uploaded(teacher.weights.data(), teacher.weights.size());
      const double share = rows.count / texts;
      backend.vocabulary_distance(backend.self, {.weights = at(o.weights_, rows),
                                                 .offsets = teacher.offsets.data(),
                                                 .terms = reinterpret_cast<const int32_t*>(terms.data()),
                                                 .values = values.data(),
                                                 .value = scalars.data(),
                                                 .d_weights = at(o.d_weights_, rows),
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
             "%s is %g and its gradient %g, expected numbers; the weights are as before this step: lower the learning "
             "rate or the weight of this term",
             kLossTerms[i], term.value, term.gradient_norm);
      }
    }
  }
};

Objective::Objective(const Backend& backend, int vocabulary_size, SparsePooling pooling,
                     const std::vector<int32_t>& dropped, bool bag_queries, const std::vector<int32_t>& bag_dropped)
    : backend_(backend), V_(vocabulary_size), activation_(activation_of(pooling)), bag_queries_(bag_queries) {
  const auto mask_of = [&](const std::vector<int32_t>& terms) {
    std::vector<uint8_t> mask((static_cast<size_t>(V_) + 3) / 4 * 4, 0);
    for (const int32_t term : terms) {
      if (term >= 0 && term < V_) mask[term] = 1;
    }
    return mask;
  };
  bag_dropped_ = mask_of(bag_dropped);
  if (!dropped.empty()) {
    const std::vector<uint8_t> mask = mask_of(dropped);
    drop_ = uploaded(mask.data(), mask.size() / 4);
  }
}

Buffer Objective::uploaded(const void* values, size_t count) const {
  Buffer buffer(backend_, count);
  backend_.upload(backend_.self, buffer.data(), values, count * sizeof(float));
  return buffer;
}

void Objective::reserve(int rows) {
  if (static_cast<size_t>(rows) <= capacity_) return;
  weights_ = d_weights_ = Buffer();
  capacity_ = rows;
  weights_ = Buffer(backend_, capacity_ * V_);
  d_weights_ = Buffer(backend_, capacity_ * V_);
}

Losses Objective::evaluate(const TrainingBatch& batch, const ObjectiveSettings& settings, const float* pooled,
                           float* d_pooled) {
  const int rows = batch.queries.count() + batch.documents.count();
  reserve(rows);
  backend_.clear(backend_.self, d_pooled, static_cast<size_t>(rows) * V_ * sizeof(float));
  Losses losses;
  Step step{*this, batch, settings, pooled, d_pooled, losses};
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

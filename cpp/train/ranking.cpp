#include "train/ranking.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace fles {
namespace {

// Log-probabilities of a softmax.
void log_softmax(std::vector<double>& scores) {
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const double score : scores) sum += std::exp(score - top);
  const double log_sum = top + std::log(sum);
  for (double& score : scores) score -= log_sum;
}

double product(const TeacherRows& a, int row, const TeacherRows& b, int other) {
  double sum = 0;
  int i = a.offsets[row], j = b.offsets[other];
  while (i < a.offsets[row + 1] && j < b.offsets[other + 1]) {
    if (a.terms[i] == b.terms[j])
      sum += static_cast<double>(a.weights[i++]) * b.weights[j++];
    else if (a.terms[i] < b.terms[j])
      ++i;
    else
      ++j;
  }
  return sum;
}

}  // namespace

std::vector<std::vector<int>> candidates_of(const TrainingBatch& batch, Negatives negatives) {
  const int Q = batch.queries.count(), D = batch.documents.count();
  std::vector<std::vector<int>> candidates(Q);
  std::vector<int> taken(D, -1);  // the last query for which the document, by its first duplicate, competes
  std::vector<std::pair<int, int>> excluded;
  for (size_t i = 0; i < batch.excluded.size(); i += 2) {
    excluded.emplace_back(batch.excluded[i], batch.excluded[i + 1]);
  }
  std::sort(excluded.begin(), excluded.end());
  auto next = excluded.begin();
  for (int q = 0; q < Q; ++q) {
    const int positive = batch.positives[q];
    taken[batch.duplicates[positive]] = q;
    for (int d = 0; d < D; ++d) {
      const std::pair<int, int> pair(q, d);
      while (next != excluded.end() && *next < pair) ++next;
      if (d != positive) {
        if (next != excluded.end() && *next == pair) continue;
        if (negatives == Negatives::kOwn && batch.owners[d] != q) continue;
        if (taken[batch.duplicates[d]] == q) continue;
        taken[batch.duplicates[d]] = q;
      }
      candidates[q].push_back(d);
    }
  }
  return candidates;
}

RankingLoss info_nce(const TrainingBatch& batch, const std::vector<std::vector<int>>& candidates,
                     const std::vector<double>& similarities, double temperature) {
  const int Q = batch.queries.count(), D = batch.documents.count();
  RankingLoss loss{0, std::vector<double>(similarities.size(), 0.0)};
  std::vector<double> scores;
  for (int q = 0; q < Q; ++q) {
    const size_t row = static_cast<size_t>(q) * D;
    scores.clear();
    for (const int d : candidates[q]) scores.push_back(similarities[row + d] / temperature);
    log_softmax(scores);
    for (size_t i = 0; i < scores.size(); ++i) {
      const int d = candidates[q][i];
      const bool positive = d == batch.positives[q];
      if (positive) loss.value -= scores[i] / Q;
      loss.gradient[row + d] = (std::exp(scores[i]) - (positive ? 1.0 : 0.0)) / (temperature * Q);
    }
  }
  return loss;
}

RankingLoss margin_mse(const TrainingBatch& batch, const std::vector<double>& similarities) {
  const int Q = batch.queries.count(), D = batch.documents.count();
  RankingLoss loss{0, std::vector<double>(similarities.size(), 0.0)};
  const auto known = [&](size_t at) { return !std::isnan(batch.teacher_scores[at]); };
  int64_t pairs = 0;
  for (int q = 0; q < Q; ++q) {
    const size_t row = static_cast<size_t>(q) * D;
    const size_t positive = row + batch.positives[q];
    for (size_t at = row; at < row + D && known(positive); ++at) pairs += at != positive && known(at);
  }
  for (int q = 0; q < Q; ++q) {
    const size_t row = static_cast<size_t>(q) * D;
    const size_t positive = row + batch.positives[q];
    for (size_t at = row; at < row + D && known(positive); ++at) {
      if (at == positive || !known(at)) continue;
      const double teacher = static_cast<double>(batch.teacher_scores[positive]) - batch.teacher_scores[at];
      const double difference = similarities[positive] - similarities[at] - teacher;
      const double gradient = 2 * difference / static_cast<double>(pairs);
      loss.value += difference * difference / static_cast<double>(pairs);
      loss.gradient[positive] += gradient;
      loss.gradient[at] -= gradient;
    }
  }
  return loss;
}

RankingLoss kl_divergence(const std::vector<std::vector<int>>& candidates, const std::vector<double>& teacher,
                          const std::vector<double>& similarities, int D, double teacher_temperature,
                          double temperature) {
  RankingLoss loss{0, std::vector<double>(similarities.size(), 0.0)};
  std::vector<double> expected, seen;
  std::vector<size_t> places;
  int64_t queries = 0;
  for (size_t q = 0; q < candidates.size(); ++q) {
    expected.clear(), seen.clear(), places.clear();
    for (const int d : candidates[q]) {
      const size_t at = q * D + d;
      if (std::isnan(teacher[at])) continue;
      places.push_back(at);
      expected.push_back(teacher[at] / teacher_temperature);
      seen.push_back(similarities[at] / temperature);
    }
    if (places.size() < 2) continue;
    ++queries;
    log_softmax(expected);
    log_softmax(seen);
    for (size_t i = 0; i < places.size(); ++i) {
      const double p = std::exp(expected[i]);
      if (p > 0) loss.value += p * (expected[i] - seen[i]);
      loss.gradient[places[i]] = (std::exp(seen[i]) - p) / temperature;
    }
  }
  if (queries == 0) return loss;
  loss.value /= static_cast<double>(queries);
  for (double& gradient : loss.gradient) gradient /= static_cast<double>(queries);
  return loss;
}

std::vector<double> teacher_similarities(const TeacherRows& queries, const TeacherRows& documents,
                                         Similarity similarity) {
  const int Q = static_cast<int>(queries.offsets.size()) - 1, D = static_cast<int>(documents.offsets.size()) - 1;
  std::vector<double> norms(D, 1.0), similarities;
  if (similarity == Similarity::kCosine) {
    for (int d = 0; d < D; ++d) norms[d] = std::sqrt(product(documents, d, documents, d));
  }
  for (int q = 0; q < Q; ++q) {
    const double norm = similarity == Similarity::kCosine ? std::sqrt(product(queries, q, queries, q)) : 1.0;
    for (int d = 0; d < D; ++d) {
      const double length = norm * norms[d];
      similarities.push_back(length > 0 ? product(queries, q, documents, d) / length : 0.0);
    }
  }
  return similarities;
}

}  // namespace fles

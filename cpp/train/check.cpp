#include "train/check.h"

#include <cmath>

#include "core/error.h"

namespace fles {
namespace {

void check_size(const char* name, size_t seen, size_t expected, const char* what) {
  if (seen != expected) fail("ERR_BATCH_SIZE", "%s has %zu values, expected %zu (%s)", name, seen, expected, what);
}

void check_entry(const char* code, const char* name, size_t i, int value, int count, const char* what) {
  if (value < 0 || value >= count) {
    fail(code, "%s[%zu] is %d, expected 0..%d (%s)", name, i, value, count - 1, what);
  }
}

void check_pairs(const TrainingBatch& batch, int Q, int D) {
  check_size("positives", batch.positives.size(), Q, "one a query");
  check_size("owners", batch.owners.size(), D, "one a document");
  check_size("duplicates", batch.duplicates.size(), D, "one a document");
  for (size_t d = 0; d < batch.owners.size(); ++d) {
    check_entry("ERR_BATCH_OWNER", "owners", d, batch.owners[d], Q, "the queries");
    const int first = batch.duplicates[d];
    check_entry("ERR_BATCH_DUPLICATE", "duplicates", d, first, static_cast<int>(d) + 1, "a document up to this one");
    if (batch.duplicates[first] != first) {
      fail("ERR_BATCH_DUPLICATE", "duplicates[%zu] is %d, which is a duplicate of %d itself; name the first", d, first,
           batch.duplicates[first]);
    }
  }
  for (size_t q = 0; q < batch.positives.size(); ++q) {
    const int positive = batch.positives[q];
    check_entry("ERR_BATCH_POSITIVE", "positives", q, positive, D, "the documents");
    if (batch.owners[positive] != static_cast<int>(q)) {
      fail("ERR_BATCH_POSITIVE", "positives[%zu] is document %d, which was drawn for query %d", q, positive,
           batch.owners[positive]);
    }
  }
}

void check_excluded(const TrainingBatch& batch, int Q, int D) {
  if (batch.excluded.size() % 2 != 0) {
    fail("ERR_BATCH_SIZE", "excluded has %zu values, expected pairs of a query and a document", batch.excluded.size());
  }
  for (size_t i = 0; i < batch.excluded.size(); i += 2) {
    const int q = batch.excluded[i], d = batch.excluded[i + 1];
    check_entry("ERR_BATCH_EXCLUDED", "excluded", i, q, Q, "the queries");
    check_entry("ERR_BATCH_EXCLUDED", "excluded", i + 1, d, D, "the documents");
    if (batch.positives[q] == d) {
      fail("ERR_BATCH_EXCLUDED", "excluded has document %d, the positive of query %d; leave it out", d, q);
    }
  }
}

void check_rows(const char* name, const TeacherRows& rows, int count, int V) {
  if (rows.offsets.size() != static_cast<size_t>(count) + 1 || rows.offsets[0] != 0 ||
      rows.offsets.back() != static_cast<int64_t>(rows.terms.size()) || rows.terms.size() != rows.weights.size()) {
    fail("ERR_TEACHER_VECTORS", "%s has %zu offsets, %zu terms and %zu weights, expected rows for %d texts", name,
         rows.offsets.size(), rows.terms.size(), rows.weights.size(), count);
  }
  for (int b = 0; b < count; ++b) {
    if (rows.offsets[b + 1] < rows.offsets[b] || rows.offsets[b + 1] > rows.offsets.back()) {
      fail("ERR_TEACHER_VECTORS", "%s: row %d ends at %d and begins at %d, expected ascending offsets", name, b,
           rows.offsets[b + 1], rows.offsets[b]);
    }
    int32_t before = -1;
    for (int i = rows.offsets[b]; i < rows.offsets[b + 1]; ++i) {
      if (rows.terms[i] <= before || rows.terms[i] >= V) {
        fail("ERR_TEACHER_VECTORS", "%s: row %d has the term %d after %d, expected ascending terms below %d", name, b,
             rows.terms[i], before, V);
      }
      if (!std::isfinite(rows.weights[i])) {
        fail("ERR_TEACHER_VECTORS", "%s: row %d has the weight %g, expected a finite one", name, b,
             static_cast<double>(rows.weights[i]));
      }
      before = rows.terms[i];
    }
  }
}

void check_teacher(const TrainingBatch& batch, const ObjectiveSettings& objective, int Q, int D, int V) {
  const auto uses = [&](LossTerm term) { return objective.weights[static_cast<size_t>(term)] > 0; };
  const bool needs_scores = uses(LossTerm::kMarginMse) || uses(LossTerm::kKlDivergence);
  const bool needs_vectors =
      uses(LossTerm::kRanking) || uses(LossTerm::kVocabularyMse) || uses(LossTerm::kVocabularyCosine);
  if (needs_scores && batch.teacher_scores.empty()) {
    fail("ERR_TEACHER_MISSING", "marginMSE and klDivergence need teacherScores; give them or leave these terms out");
  }
  if (needs_vectors && (!batch.teacher_queries || !batch.teacher_documents)) {
    fail("ERR_TEACHER_MISSING",
         "ranking, vocabularyMSE and vocabularyCosine need teacherQueries and teacherDocuments; give them or leave "
         "these "
         "terms out");
  }
  if (!batch.teacher_scores.empty()) {
    check_size("teacherScores", batch.teacher_scores.size(), static_cast<size_t>(Q) * D, "queries times documents");
    for (size_t i = 0; i < batch.teacher_scores.size(); ++i) {
      if (std::isinf(batch.teacher_scores[i])) {
        fail("ERR_TEACHER_SCORES", "teacherScores[%zu] is infinite, expected a number, or NaN where there is none", i);
      }
    }
  }
  if (batch.teacher_queries) check_rows("teacherQueries", batch.teacher_queries, Q, V);
  if (batch.teacher_documents) check_rows("teacherDocuments", batch.teacher_documents, D, V);
}

}  // namespace

void check_texts(const ModelConfig& config, const Texts& texts) {
  check_batch(config, texts.view());
  for (int b = 0; b < texts.count(); ++b) {
    if (texts.offsets[b] == texts.offsets[b + 1]) {
      fail("ERR_LENGTH_RANGE", "text %d has no tokens, expected [CLS] and [SEP] at least", b);
    }
  }
}

void check_training_batch(const ModelConfig& config, const TrainingBatch& batch, const ObjectiveSettings& objective) {
  check_texts(config, batch.queries);
  check_texts(config, batch.documents);
  const int Q = batch.queries.count(), D = batch.documents.count(), V = config.vocabulary_size;
  if (Q < 1 || D < 1)
    fail("ERR_BATCH_SIZE", "a step has %d queries and %d documents, expected one of each at least", Q, D);
  check_pairs(batch, Q, D);
  check_excluded(batch, Q, D);
  check_teacher(batch, objective, Q, D, V);
  for (const FlopsSettings* flops : {&objective.flops_documents, &objective.flops_queries}) {
    if (!flops->term_weights.empty()) check_size("termWeights", flops->term_weights.size(), V, "one a term");
  }
}

void check_masked_batch(const ModelConfig& config, const MaskedBatch& batch) {
  check_texts(config, batch.texts);
  check_size("labels", batch.labels.size(), batch.texts.tokens.size(), "one a token");
  bool any = false;
  for (size_t t = 0; t < batch.labels.size(); ++t) {
    if (batch.labels[t] < -1 || batch.labels[t] >= config.vocabulary_size) {
      fail("ERR_BATCH_LABELS", "labels[%zu] is %d, expected -1..%d", t, batch.labels[t], config.vocabulary_size - 1);
    }
    any |= batch.labels[t] >= 0;
  }
  if (!any) fail("ERR_BATCH_LABELS", "no position has a label, expected one to predict at least");
}

}  // namespace fles

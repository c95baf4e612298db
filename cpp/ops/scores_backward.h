// Gradients of ops/scores.h.
//   queries (Q, V)   documents (D, V)
//   d_scores (Q, D)   d_query_squares (Q)   d_document_squares (D)
//   d_queries   (Q, V)   assigned: d_scores documents + 2 d_query_squares queries
//   d_documents (D, V)   assigned: d_scores^T queries + 2 d_document_squares documents
#pragma once
#include <cstdint>

namespace fles {

struct ScoresBackward {
  const float *queries, *documents, *d_scores, *d_query_squares, *d_document_squares;
  float *d_queries, *d_documents;
  int Q, D, V;
};

template <class Visitor>
void fields(Visitor& v, ScoresBackward& a) {
  v.size("Q", a.Q), v.size("D", a.D), v.size("V", a.V);
  v.input("queries", a.queries, int64_t{a.Q} * a.V);
  v.input("documents", a.documents, int64_t{a.D} * a.V);
  v.input("d_scores", a.d_scores, int64_t{a.Q} * a.D);
  v.input("d_query_squares", a.d_query_squares, int64_t{a.Q});
  v.input("d_document_squares", a.d_document_squares, int64_t{a.D});
  v.output("d_queries", a.d_queries, int64_t{a.Q} * a.V);
  v.output("d_documents", a.d_documents, int64_t{a.D} * a.V);
}

}  // namespace fles

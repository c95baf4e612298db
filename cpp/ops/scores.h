// Inner products of queries and documents, and their squared norms.
//   queries (Q, V)   documents (D, V)
//   scores  (Q, D)   <q, d>
//   query_squares (Q), document_squares (D)   <q, q> and <d, d>
// A sum is formed in the same order whatever stands beside its rows.
#pragma once
#include <cstdint>

namespace fles {

struct ScoresForward {
  const float *queries, *documents;
  float *scores, *query_squares, *document_squares;
  int Q, D, V;
};

template <class Visitor>
void fields(Visitor& v, ScoresForward& a) {
  v.size("Q", a.Q), v.size("D", a.D), v.size("V", a.V);
  v.input("queries", a.queries, int64_t{a.Q} * a.V);
  v.input("documents", a.documents, int64_t{a.D} * a.V);
  v.output("scores", a.scores, int64_t{a.Q} * a.D);
  v.output("query_squares", a.query_squares, int64_t{a.Q});
  v.output("document_squares", a.document_squares, int64_t{a.D});
}

}  // namespace fles

// Search by any of the algorithms of the folder search/.
#pragma once
#include <string>

#include "index/search/query.h"

namespace fles {

using SearchFunction = std::vector<Hit> (*)(const InvertedIndex& index, const Query& query, size_t k,
                                            const std::atomic<bool>& cancelled);

struct SearchAlgorithm {
  const char* name;
  SearchFunction run;
};

// All of them; each returns exactly what the first, exhaustive search, returns.
const std::vector<SearchAlgorithm>& search_algorithms();

// The min(k, hits) best documents with a score above 0, best first. Refuses terms that the index lacks or that come
// twice, weights that are not finite and > 0, and k = 0.
std::vector<Hit> search(const InvertedIndex& index, const Query& query, size_t k, const std::string& algorithm,
                        const std::atomic<bool>& cancelled);

}  // namespace fles

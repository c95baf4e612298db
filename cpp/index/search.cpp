#include "index/search.h"

#include <algorithm>
#include <cmath>

#include "index/search/block_accumulation.h"
#include "index/search/exhaustive.h"

namespace fles {

const std::vector<SearchAlgorithm>& search_algorithms() {
  // Never destroyed: searches may be under way when the process ends.
  static const auto& algorithms = *new std::vector<SearchAlgorithm>{
      {"exhaustive", search_exhaustive},
      {"block_accumulation", search_block_accumulation},
  };
  return algorithms;
}

std::vector<Hit> search(const InvertedIndex& index, const Query& query, size_t k, const std::string& algorithm,
                        const std::atomic<bool>& cancelled) {
  if (k == 0) fail("ERR_OPTION_RANGE", "k is 0, expected 1 or more");
  std::vector<uint32_t> sorted(query.terms, query.terms + query.count);
  std::sort(sorted.begin(), sorted.end());
  if (!sorted.empty() && sorted.back() >= index.terms()) {
    fail("ERR_ARGUMENT_VALUE", "the query has term %u, the index has %llu terms", sorted.back(),
         static_cast<unsigned long long>(index.terms()));
  }
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    fail("ERR_TERM_DUPLICATE", "the query has term \"%s\" twice; give each term one weight",
         std::string(index.term(*twice)).c_str());
  }
  for (size_t i = 0; i < query.count; ++i) {
    if (!(query.weights[i] > 0) || !std::isfinite(query.weights[i])) {
      fail("ERR_WEIGHT_RANGE", "the query has weight %g, expected a finite number above 0", query.weights[i]);
    }
  }
  k = static_cast<size_t>(std::min<uint64_t>(k, std::max<uint64_t>(index.documents(), 1)));
  for (const SearchAlgorithm& candidate : search_algorithms()) {
    if (algorithm == candidate.name) return candidate.run(index, query, k, cancelled);
  }
  fail("ERR_OPTION_VALUE", "search algorithm \"%s\" is not known", algorithm.c_str());
}

}  // namespace fles

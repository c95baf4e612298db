// The k best of the hits offered.
#pragma once
#include <algorithm>
#include <cfloat>

#include "index/search/query.h"

namespace fles {

class TopK {
 public:
  explicit TopK(size_t k) : k_(k), room_(k + std::max<size_t>(k, kSlack)) {}

  // A hit below this score is not among the k best; never 0, which is the score of a document without shared terms.
  float bound() const { return bound_; }

  // A hit with a score of bound() or more.
  void offer(Hit hit) {
    hits_.push_back(hit);
    if (hits_.size() == room_) cut();
  }

  // Best first.
  std::vector<Hit> take() {
    if (hits_.size() > k_) cut();
    std::sort(hits_.begin(), hits_.end(), ranks_before);
    return std::move(hits_);
  }

 private:
  // Hits are gathered beyond k and cut now and then: constant work a hit, where a heap has log k.
  static constexpr size_t kSlack = 64;

  void cut() {
    std::nth_element(hits_.begin(), hits_.begin() + static_cast<ptrdiff_t>(k_ - 1), hits_.end(), ranks_before);
    hits_.resize(k_);
    bound_ = hits_.back().score;
  }

  size_t k_, room_;
  float bound_ = FLT_TRUE_MIN;
  std::vector<Hit> hits_;
};

}  // namespace fles

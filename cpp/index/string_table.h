// Distinct strings, numbered in the order they came, kept as one run of bytes with offsets: the form of an index file.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "index/xxh64.h"

namespace fles {

class StringTable {
 public:
  size_t size() const { return offsets_.size() - 1; }
  const std::vector<uint64_t>& offsets() const { return offsets_; }
  const std::vector<char>& text() const { return text_; }
  std::string_view at(size_t i) const { return {text_.data() + offsets_[i], offsets_[i + 1] - offsets_[i]}; }

  // Number of `string`; size() before the call when it is new.
  uint32_t add(std::string_view string) {
    if (2 * (size() + 1) > slots_.size()) grow();
    uint32_t& slot = slot_of(string);
    if (slot == kFree) {
      slot = static_cast<uint32_t>(size());
      text_.insert(text_.end(), string.begin(), string.end());
      offsets_.push_back(text_.size());
    }
    return slot;
  }

 private:
  static constexpr uint32_t kFree = 0xFFFFFFFF;

  uint32_t& slot_of(std::string_view string) {
    const size_t mask = slots_.size() - 1;
    size_t i = xxh64(string.data(), string.size()) & mask;
    while (slots_[i] != kFree && at(slots_[i]) != string) i = (i + 1) & mask;
    return slots_[i];
  }
  void grow() {
    slots_.assign(slots_.empty() ? 64 : 2 * slots_.size(), kFree);
    for (uint32_t i = 0; i < size(); ++i) slot_of(at(i)) = i;
  }

  std::vector<char> text_;
  std::vector<uint64_t> offsets_ = {0};
  std::vector<uint32_t> slots_;  // open addressing, a power of two, at most half full
};

}  // namespace fles

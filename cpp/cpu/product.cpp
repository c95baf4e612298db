#include "cpu/product.h"

#include <algorithm>
#include <atomic>
#include <new>

namespace fles::cpu {
namespace {

// Rows that are multiplied by some panels before the next ones come. The thread that packs them has them in its cache,
// so each thread begins with rows of its own, and helps others when it is done with those.
struct alignas(64) Group {
  static constexpr int kNone = -1, kSought = -2;
  std::atomic<int> place{kNone};  // of the packed rows
  std::atomic<int> next_piece{0}, packed{0}, next_width{0}, multiplied{0};
};

// Memory for packed rows, taken again and again, so that it stays in the cache. One place a thread is enough: a group
// that has one has a thread in it, which packs or multiplies, and who looks for a place is in no group.
struct alignas(64) Place {
  std::atomic<bool> taken{false};
};

int take(Place* places, int count, int first) {
  for (int i = first;; i = (i + 1) % count) {
    if (!places[i].taken.exchange(true)) return i;
  }
}

// Blocks of rows are packed one by one. Of columns some rows of the matrix are packed for all blocks at once, so that
// memory is read in long stretches, unless blocks begin with scales, which take whole columns.
constexpr int kRowsAtOnce = 64;
bool by_rows(const Product& p) { return p.transposed && !has_scales(p.products); }
int pieces(const Product& p, int blocks) { return by_rows(p) ? (p.inner + kRowsAtOnce - 1) / kRowsAtOnce : blocks; }

void pack_blocks(const Product& p, int first, int last, int begin, int end, uint8_t* to) {
  const int MR = p.products.MR;
  for (int b = first; b < last; ++b, to += p.products.block_bytes(p.inner)) {
    const int row = b * MR, rows = std::min(MR, p.rows - row);
    if (p.transposed) {
      p.products.pack_columns(p.in + begin * p.ld + row, end - begin, p.ld, rows, to);
    } else {
      p.products.pack_block(p.in + row * p.ld, rows, p.ld, p.inner, to);
    }
  }
}

// One of the pieces of the blocks from the first on, which are packed to `to`.
void pack(const Product& p, int first, int blocks, int piece, uint8_t* to) {
  if (by_rows(p)) {
    const int begin = piece * kRowsAtOnce, end = std::min(p.inner, begin + kRowsAtOnce);
    pack_blocks(p, first, first + blocks, begin, end, to + p.products.block_bytes(begin));
  } else {
    pack_blocks(p, first + piece, first + piece + 1, 0, p.inner, to + piece * p.products.block_bytes(p.inner));
  }
}

class Multiplication {
 public:
  Multiplication(State& state, const Product& p)
      : state_(state),
        p_(p),
        products_(p.products),
        threads_(state.pool->size()),
        rows_(rows_at_once(products_, p.inner, p.rows, threads_)),
        blocks_((p.rows + products_.MR - 1) / products_.MR),
        count_((p.rows + rows_ - 1) / rows_),
        width_(panels_at_once(products_, p.inner) * state.kernels->NR),
        widths_((p.columns + width_ - 1) / width_),
        group_bytes_(products_.block_bytes(p.inner) * std::min(group_blocks(), blocks_)),
        scratch_bytes_(State::panel_scratch(products_, p.inner)) {
    scratch_ = state.panels.bytes(scratch_bytes_ * threads_);
    packed_ = state.input.bytes(static_cast<size_t>(group_bytes_) * std::min(count_, threads_));
    groups_ = reinterpret_cast<Group*>(state.groups.bytes(sizeof(Group) * count_ + sizeof(Place) * threads_));
    places_ = reinterpret_cast<Place*>(groups_ + count_);
    for (int g = 0; g < count_; ++g) new (groups_ + g) Group;
    for (int i = 0; i < threads_; ++i) new (places_ + i) Place;
  }

  void run() {
    if (shared()) pack_all();
    state_.pool->parallel_for(std::min(threads_, count_ * widths_), [&](int64_t starter, int thread) {
      const int start = static_cast<int>(starter * count_ / threads_);
      for (int i = 0; i < 2 * count_; ++i) multiply_group((start + i) % count_, thread);
    });
  }

 private:
  // Where there are too few groups for every thread to begin with one of its own, they are packed beforehand.
  bool shared() const { return count_ < threads_; }
  int group_blocks() const { return rows_ / products_.MR; }
  int blocks_of(int g) const { return std::min(group_blocks(), blocks_ - g * group_blocks()); }
  void pack_piece(int g, int piece, uint8_t* to) const { pack(p_, g * group_blocks(), blocks_of(g), piece, to); }

  void pack_all() {
    const int most = pieces(p_, std::min(group_blocks(), blocks_));  // of a group; the last one may have fewer
    state_.pool->parallel_for(int64_t{count_} * most, [&](int64_t work, int) {
      const int g = static_cast<int>(work / most), piece = static_cast<int>(work % most);
      if (piece < pieces(p_, blocks_of(g))) pack_piece(g, piece, packed_ + g * group_bytes_);
    });
    for (int g = 0; g < count_; ++g) {
      groups_[g].place = g;
      groups_[g].next_piece = groups_[g].packed = most;
    }
  }

  void multiply_group(int g, int thread) {
    Group& group = groups_[g];
    int place = Group::kNone;
    if (group.place.compare_exchange_strong(place, Group::kSought)) {
      group.place = place = take(places_, threads_, thread);
    } else if (place == Group::kSought) {
      return;
    }
    uint8_t* rows = packed_ + place * group_bytes_;
    const int own_pieces = pieces(p_, blocks_of(g));
    for (int i = 0; (i = group.next_piece.fetch_add(1)) < own_pieces; group.packed.fetch_add(1)) {
      pack_piece(g, i, rows);
    }
    // Nobody waits for another, who may have lost the processor: whoever packs the last piece goes on.
    if (group.packed.load() < own_pieces) return;
    for (int w = 0; (w = group.next_width.fetch_add(1)) < widths_;) {
      multiply_width(rows, g * rows_, w * width_, thread);
      if (group.multiplied.fetch_add(1) + 1 == widths_) places_[place].taken = false;
    }
  }

  // Of the columns that are handed out together.
  void multiply_width(const uint8_t* rows, int row, int column, int thread) {
    const int64_t at = int64_t{row} * p_.columns + column;
    products_.linear_panels({
        .blocks = rows,
        .panels = p_.panels + column / state_.kernels->NR * products_.panel_bytes(p_.inner),
        .rows = std::min(rows_, p_.rows - row),
        .columns = std::min(width_, p_.columns - column),
        .K = p_.inner,
        .next = width_ * (shared() ? threads_ : 1),
        .bias = p_.bias == nullptr ? nullptr : p_.bias + column,
        .residual = p_.residual == nullptr ? nullptr : p_.residual + at,
        .out = p_.out + at,
        .ld = p_.columns,
        .activation = static_cast<int>(p_.activation),
        .scratch = scratch_ + scratch_bytes_ * thread,
    });
  }

  State& state_;
  const Product& p_;
  const ProductKernels& products_;
  const int threads_;
  const int rows_, blocks_, count_;  // of a group; of all rows; groups
  const int width_, widths_;         // columns handed out together; how many times
  const int64_t group_bytes_;
  const size_t scratch_bytes_;  // of a thread
  uint8_t *scratch_, *packed_;
  Group* groups_;
  Place* places_;
};

}  // namespace

void multiply(State& state, const Product& p) { Multiplication(state, p).run(); }

}  // namespace fles::cpu

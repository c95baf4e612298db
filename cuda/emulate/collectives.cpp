// Barriers of a block and collectives of a warp.
#include <cstring>

#include "emulate/block.h"
#include "emulate/sanitizers.h"

namespace emulate {
namespace {

// Columns too: two shuffles in one line are two places.
bool same(const Site& a, const Site& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

}  // namespace

void Block::barrier(Site site) {
  Thread* self = current_;
  char* order = &barrier_order_[barriers_ % 2];
  release_order(order);
  if (arrived_ == 0) {
    barrier_site_ = site;
  } else if (!same(barrier_site_, site)) {
    fail("threads of one block wait in different __syncthreads(): %s:%u and %s:%u", barrier_site_.file_name(),
         barrier_site_.line(), site.file_name(), site.line());
  }
  self->state = ThreadState::kAtBarrier;
  self->site = site;
  if (++arrived_ == count_) {
    arrived_ = 0;
    ++barriers_;
    last_predicates_ = predicates_;
    predicates_ = 0;
    wake_all();
  } else {
    if (done_ > 0) {
      fail("thread %d waits in __syncthreads() at %s:%u, but %d threads of the block have exited", self->index,
           site.file_name(), site.line(), done_);
    }
    suspend();
  }
  acquire_order(order);
}

int Block::barrier(bool predicate, BarrierResult result, Site site) {
  predicates_ += predicate ? 1 : 0;
  barrier(site);
  switch (result) {
    case BarrierResult::kCount:
      return last_predicates_;
    case BarrierResult::kAnd:
      return last_predicates_ == count_ ? 1 : 0;
    case BarrierResult::kOr:
      return last_predicates_ > 0 ? 1 : 0;
  }
  return 0;
}

// Runs the collective of the warp with that mask if every lane of it is there.
bool Block::try_collective(int warp, unsigned mask) {
  if ((mask & ~waiting_[warp]) != 0) return false;
  Thread* lanes = &threads_[warp * 32];
  const Thread* first = nullptr;
  void* arguments[32];
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    const Thread& thread = lanes[lane];
    if (thread.mask != mask) return false;
    if (first == nullptr) {
      first = &thread;
    } else if (!same(thread.site, first->site) ||
               (thread.name != first->name && std::strcmp(thread.name, first->name) != 0)) {
      fail("lanes of warp %d meet in different collectives: %s at %s:%u and %s at %s:%u", warp, first->name,
           first->site.file_name(), first->site.line(), thread.name, thread.site.file_name(), thread.site.line());
    }
    arguments[lane] = thread.argument;
  }
  first->function(arguments, mask);
  waiting_[warp] &= ~mask;
  ++collectives_[warp];
  wake_lanes(lanes, mask);
  return true;
}

void Block::collective(unsigned mask, const char* name, void* argument, WarpFunction function, bool orders, Site site) {
  Thread* self = current_;
  const int warp = self->index / 32;
  if ((mask & exited_[warp]) != 0) {
    fail("%s at %s:%u: the mask 0x%08x names lanes 0x%08x, which have exited or never existed", name, site.file_name(),
         site.line(), mask, mask & exited_[warp]);
  }
  if ((mask >> self->lane() & 1) == 0) {
    fail("%s at %s:%u: lane %u is not in its own mask 0x%08x", name, site.file_name(), site.line(), self->lane(), mask);
  }
  char* order = &warp_order_[warp][collectives_[warp] % 2];
  if (orders) release_order(order);
  self->state = ThreadState::kInCollective;
  self->site = site;
  self->mask = mask;
  self->name = name;
  self->argument = argument;
  self->function = function;
  waiting_[warp] |= 1U << self->lane();
  if (!try_collective(warp, mask)) suspend();
  if (orders) acquire_order(order);
}

void Block::fence() {
  release_order(&fence_order_);
  acquire_order(&fence_order_);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// What kernels call.

void barrier(Site site) { Block::running()->barrier(site); }
int barrier(bool predicate, BarrierResult result, Site site) {
  return Block::running()->barrier(predicate, result, site);
}
void warp_collective(unsigned mask, const char* name, void* argument, WarpFunction function, bool orders_memory,
                     Site site) {
  Block::running()->collective(mask, name, argument, function, orders_memory, site);
}

namespace {
struct Ballot {
  bool predicate;
  unsigned votes;
};
struct Reduce {
  int64_t value;
  WarpReduction reduction;
};

int64_t reduced(WarpReduction reduction, int64_t a, int64_t b) {
  switch (reduction) {
    case WarpReduction::kAdd:
      return a + b;
    case WarpReduction::kMin:
      return a < b ? a : b;
    case WarpReduction::kMax:
      return a < b ? b : a;
    case WarpReduction::kAnd:
      return a & b;
    case WarpReduction::kOr:
      return a | b;
    case WarpReduction::kXor:
      return a ^ b;
  }
  return 0;
}
}  // namespace

unsigned ballot(unsigned mask, bool predicate, const char* name, Site site) {
  Ballot self{predicate, 0};
  const auto vote = [](void* const* arguments, unsigned lanes) {
    unsigned votes = 0;
    for (int lane = 0; lane < 32; ++lane) {
      if ((lanes >> lane & 1) != 0 && static_cast<Ballot*>(arguments[lane])->predicate) votes |= 1U << lane;
    }
    for (int lane = 0; lane < 32; ++lane) {
      if ((lanes >> lane & 1) != 0) static_cast<Ballot*>(arguments[lane])->votes = votes;
    }
  };
  warp_collective(mask, name, &self, vote, false, site);
  return self.votes;
}

int64_t reduce(unsigned mask, int64_t value, WarpReduction reduction, const char* name, Site site) {
  Reduce self{value, reduction};
  const auto combine = [](void* const* arguments, unsigned lanes) {
    const int first = __builtin_ctz(lanes);
    int64_t sum = static_cast<Reduce*>(arguments[first])->value;
    for (int lane = first + 1; lane < 32; ++lane) {
      if ((lanes >> lane & 1) == 0) continue;
      const auto* other = static_cast<Reduce*>(arguments[lane]);
      sum = reduced(other->reduction, sum, other->value);
    }
    for (int lane = 0; lane < 32; ++lane) {
      if ((lanes >> lane & 1) != 0) static_cast<Reduce*>(arguments[lane])->value = sum;
    }
  };
  warp_collective(mask, name, &self, combine, false, site);
  return self.value;
}

void* shared_variable(const void* site, size_t bytes, size_t align) {
  Block* block = Block::running();
  void* memory = block->shared().variable(site, bytes, align);
  if (memory == nullptr) {
    block->fail("no room for a shared variable of %zu bytes beside %zu bytes", bytes, block->shared().bytes());
  }
  return memory;
}
void* dynamic_shared() { return Block::running()->shared().dynamic(); }
bool in_shared(const void* address, size_t bytes) { return Block::running()->shared().contains(address, bytes); }
void thread_fence() { Block::running()->fence(); }
void maybe_yield() { Block::running()->yield(); }
void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Block::running()->fail_with(format, arguments);
}

}  // namespace emulate

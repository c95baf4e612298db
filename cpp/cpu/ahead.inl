// What is fetched from memory before it is wanted. Included before the arithmetics of types.inl.

// Where few rows are multiplied the panels come from memory, which the processor foresees too late by itself; a block
// of many values lies in the second-level cache.
constexpr int kPanelAhead = 4096, kBlockAhead = 2048;  // bytes

// While a panel is multiplied, every block's tile also fetches its share of the panel that is wanted next. Else the
// first block would wait for all of it at the speed of the memory, which the others leave idle.
struct Ahead {
  const char* at;
  int64_t step;  // bytes, of each step of the multiplication
  // Into the second-level cache; an address that is not there does nothing.
  FLES_INLINE void fetch(Ahead& ahead) {
    __builtin_prefetch(ahead.at, 0, 2);
    ahead.at += ahead.step;
  }
  // For several steps at once.
  FLES_INLINE void fetch(Ahead& ahead, int steps) {
    const char* end = ahead.at + steps * ahead.step;
    for (const char* line = ahead.at; line < end; line += 64) __builtin_prefetch(line, 0, 2);
    ahead.at = end;
  }
};
struct NothingAhead {
  FLES_INLINE void fetch(NothingAhead&) {}
  FLES_INLINE void fetch(NothingAhead&, int) {}
};

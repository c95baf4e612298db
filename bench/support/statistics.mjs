// Medians, spreads and interleaved rounds: what every benchmark here quotes.

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  const high = Math.ceil(at);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

/** Median with the quartiles as spread. */
export function summary(values) {
  return {
    median: quantile(values, 0.5),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    runs: values.length,
  };
}

/** Ratio of two series measured in turn: the median of the ratios round by round, with its quartiles. */
export function ratio(a, b) {
  const pairs = a.slice(0, Math.min(a.length, b.length)).map((value, i) => value / b[i]);
  return summary(pairs);
}

/**
 * Runs the contenders in turn, round after round (A B C A B C ...), so that a change of the machine's speed meets all alike.
 * `contenders` maps names to async functions that return a figure; the first round is not counted.
 */
export async function interleave(contenders, rounds) {
  const results = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(contenders)) {
      const figure = await run();
      if (round > 0) results[name].push(figure);
    }
  }
  return results;
}

/**
 * The first k of some items, in order, by a heap of k: O(n log k), nothing copied.
 *
 * `compare(a, b)` is negative where a ranks before b; it must not call two different items equal.
 */
export function topK(items: Iterable<number>, k: number, compare: (a: number, b: number) => number): number[] {
  // The root is the last of those kept, so that a better item takes its place.
  const heap: number[] = [];
  for (const item of items) {
    if (heap.length < k) {
      heap.push(item);
      siftUp(heap, compare);
    } else if (k > 0 && compare(item, heap[0]!) < 0) {
      heap[0] = item;
      siftDown(heap, compare);
    }
  }
  return heap.sort(compare);
}

function siftUp(heap: number[], compare: (a: number, b: number) => number): void {
  let child = heap.length - 1;
  const item = heap[child]!;
  while (child > 0) {
    const parent = (child - 1) >> 1;
    if (compare(item, heap[parent]!) <= 0) break;
    heap[child] = heap[parent]!;
    child = parent;
  }
  heap[child] = item;
}

function siftDown(heap: number[], compare: (a: number, b: number) => number): void {
  let parent = 0;
  const item = heap[0]!;
  for (let child = 1; child < heap.length; child = 2 * parent + 1) {
    if (child + 1 < heap.length && compare(heap[child + 1]!, heap[child]!) > 0) child++;
    if (compare(heap[child]!, item) <= 0) break;
    heap[parent] = heap[child]!;
    parent = child;
  }
  heap[parent] = item;
}

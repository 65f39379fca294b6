// Half-open stretches of frames, flattened and in order: [start, stop, start, stop, …]. Pure.

/** Index of the first number greater than `value`, as Python's bisect_right. */
function bisect(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index (even) of the stretch that a frame lies in, or −1. */
function stretchAt(flat, frame) {
  const after = bisect(flat, frame);
  return after % 2 === 1 ? after - 1 : -1;
}

/**
 * Frame of the next (step 1) or previous (step −1) edge of a bout: its first frame, or its last
 * one inside; null where there is none.
 */
function nextEdge(flat, frame, step) {
  const ends = new Set();
  for (let i = 0; i < flat.length; i += 2) ends.add(flat[i]).add(flat[i + 1] - 1);
  const sorted = Int32Array.from(ends).sort();
  const after = bisect(sorted, frame);
  const before = bisect(sorted, frame - 1) - 1;
  const index = step > 0 ? after : before;
  return index >= 0 && index < sorted.length ? sorted[index] : null;
}

/** Start of the next or previous stretch, or null. */
function nextStart(flat, frame, step) {
  const starts = Int32Array.from({ length: flat.length / 2 }, (_, i) => flat[2 * i]);
  const index = step > 0 ? bisect(starts, frame) : bisect(starts, frame - 1) - 1;
  return index >= 0 && index < starts.length ? starts[index] : null;
}

/** Put stretches in any order, which may overlap or touch, in order and into one another. */
function mergeStretches(pairs) {
  const merged = [];
  for (const [start, stop] of [...pairs].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], stop);
    else merged.push([start, stop]);
  }
  return merged;
}

/** Flat stretches as pairs. */
function pairsOf(flat) {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
}

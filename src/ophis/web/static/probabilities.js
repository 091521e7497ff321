// Probabilities from logits, in float64; JavaScript version of ophis/scores.

/**
 * Logarithm of the softmax; one logit must be finite.
 *
 * @param {ArrayLike<number>} logits
 */
export function logProbabilities(logits) {
  const found = Float64Array.from(logits);
  const highest = largest(found);
  let sum = 0;
  for (const logit of found) sum += Math.exp(logit - highest);
  const all = Math.log(sum);
  return found.map((logit) => logit - highest - all);
}

/** @param {ArrayLike<number>} logits */
export function probabilities(logits) {
  return logProbabilities(logits).map(Math.exp);
}

/**
 * -log sum exp of raw logits (Liu et al. 2020).
 *
 * @param {Float64Array} logits
 */
export function energy(logits) {
  const highest = largest(logits);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - highest);
  return -highest - Math.log(sum);
}

/** @param {Float64Array} values */
export function largest(values) {
  return values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}

/**
 * Indexes of values, the largest first; ties in the order of names.
 *
 * @param {Float64Array} values
 * @param {number[]} order rank of each index by name.
 */
export function ranked(values, order) {
  const indexes = Array.from(values.keys());
  return indexes.sort(
    (a, b) => (values[b] ?? 0) - (values[a] ?? 0) || (order[a] ?? 0) - (order[b] ?? 0),
  );
}

/**
 * Column-wise mean of rows.
 *
 * @param {Float64Array[]} rows one or more.
 */
export function meanOf(rows) {
  const mean = new Float64Array(rows[0]?.length ?? 0);
  for (const row of rows) {
    row.forEach((value, column) => {
      mean[column] = (mean[column] ?? 0) + value;
    });
  }
  return mean.map((sum) => sum / rows.length);
}

/**
 * Rounded, with halves to even, like NumPy.
 *
 * @param {number} value
 */
export function even(value) {
  const low = Math.floor(value);
  const up = value - low > 0.5 || (value - low === 0.5 && low % 2 !== 0);
  return low + (up ? 1 : 0);
}

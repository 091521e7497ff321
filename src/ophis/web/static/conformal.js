// Conformal sets of species; JavaScript version of ophis/decision/conformal.py.

import { largest, logProbabilities, ranked } from "./probabilities.js";

const PENALTY = 0.01;
const FREE_RANKS = 5; // each rank beyond this one adds PENALTY to the nonconformity score
export const ROUNDING = 1e-9; // tolerance for sums of probabilities

/**
 * Conformal set of a photo, at least one species.
 *
 * @param {Float64Array} row
 * @param {(number | null)[]} thresholds
 * @param {number[]} order rank of each species by name
 */
export function setOf(row, thresholds, order) {
  const p = logProbabilities(row).map(Math.exp);
  const found = new Array(row.length).fill(false);
  let [sum, score, before] = [0, 0, Number.POSITIVE_INFINITY];
  ranked(p, order).forEach((column, rank) => {
    const own = p[column] ?? 0;
    sum += own;
    if (own < before) score = sum - own + PENALTY * Math.max(rank + 1 - FREE_RANKS, 0);
    before = own; // equal probabilities share the first one's value
    found[column] = score <= (thresholds[column] ?? Number.POSITIVE_INFINITY) + ROUNDING;
  });
  found[row.indexOf(largest(row))] = true;
  return found;
}

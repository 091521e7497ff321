// Sets of species that hold the true one as often as promised: ophis/conformal.py again.

import { largest, logProbabilities, ranked } from "./probabilities.js";

const PENALTY = 0.01;
const FREE_RANKS = 5; // species beyond this rank count as so much less likely
export const ROUNDING = 1e-9; // of sums of probabilities, so that equal ones compare equal

/**
 * Which species are in the set of a photo; never none of them. See ophis/conformal.py.
 *
 * @param {Float64Array} row
 * @param {(number | null)[]} thresholds
 * @param {number[]} order of the species by name
 */
export function setOf(row, thresholds, order) {
  const p = logProbabilities(row).map(Math.exp);
  const found = new Array(row.length).fill(false);
  let [sum, odd, before] = [0, 0, Number.POSITIVE_INFINITY];
  ranked(p, order).forEach((column, rank) => {
    const own = p[column] ?? 0;
    sum += own;
    if (own < before) odd = sum - own + PENALTY * Math.max(rank + 1 - FREE_RANKS, 0);
    before = own; // of equal ones each has the first one's value
    found[column] = odd <= (thresholds[column] ?? Number.POSITIVE_INFINITY) + ROUNDING;
  });
  found[row.indexOf(largest(row))] = true;
  return found;
}

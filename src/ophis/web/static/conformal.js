// Conformal sets of species; JavaScript version of ophis/decision/conformal.py.

import { largest, logProbabilities, ranked } from "./probabilities.js";

const PENALTY = 0.01;
const FREE_RANKS = 5; // each rank beyond this one adds PENALTY to the nonconformity score
export const ROUNDING = 1e-9; // tolerance for sums of probabilities

/**
 * Conformal sets as in decision.json: numbers of each species, and the fit they are of. A threshold
 * is null without a guarantee: the species is in every set.
 *
 * @typedef {{coverage: number, confidence: number | null, observations: number[],
 *   thresholds: (number | null)[]}} PredictionSets
 */

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

/**
 * Fewest observations that give a threshold.
 *
 * @param {number} coverage
 * @param {number | null} confidence null: the coverage holds on average over fits.
 * @throws {RangeError} if one is not between 0 and 1.
 */
export function leastObservations(coverage, confidence) {
  for (const value of [coverage, confidence ?? coverage]) {
    if (value <= 0 || value >= 1) throw new RangeError(`${value} should lie between 0 and 1`);
  }
  const average = coverage / (1 - coverage);
  const tested = confidence === null ? 0 : Math.log1p(-confidence) / Math.log(coverage);
  return Math.ceil(Math.max(average, tested) - ROUNDING);
}

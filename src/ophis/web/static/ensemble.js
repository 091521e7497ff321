// What the networks of a bundle say of a photo, as one: ophis/network.py and averages.ensemble.

import { meanOf } from "./probabilities.js";

/** @import { Seen } from "./decision.js" */
/** @import { Look } from "./network.js" */

/** @typedef {{scale: number | number[], offset: number | number[]}} Calibration */

/**
 * What is done to the logits of one network first: put into the order of the species, after its
 * own calibration.
 *
 * @typedef {{columns: number[], calibration: Calibration | null}} Member
 */

/**
 * The mean of all networks' logits, and of their OOD scores where all give one.
 *
 * @param {Member[]} members
 * @param {{name: string, sha256: string, why: string | null, looks: Look[]}} looked
 * @returns {Seen}
 */
export function ensemble(members, { name, sha256, why, looks }) {
  const rows = members.map(({ columns, calibration }, number) => {
    const own = mended(Float64Array.from(looks[number]?.logits ?? []), calibration);
    return Float64Array.from(columns, (column) => own[column] ?? 0);
  });
  const oodScores = looks.flatMap(({ ood_score }) => ood_score ?? []);
  const sum = oodScores.reduce((a, b) => a + b, 0);
  const ood_score = oodScores.length === looks.length ? sum / looks.length : null;
  return { name, sha256, why, logits: meanOf(rows), ood_score };
}

/**
 * Logits times scale plus offset.
 *
 * @param {Float64Array} row
 * @param {Calibration | null} calibration
 */
export function mended(row, calibration) {
  if (!calibration) return row;
  const { scale, offset } = calibration;
  const of = (/** @type {number | number[]} */ numbers, /** @type {number} */ column) =>
    Array.isArray(numbers) ? (numbers[column] ?? 0) : numbers;
  return row.map((logit, column) => logit * of(scale, column) + of(offset, column));
}

// Ensemble of the networks of a bundle; JavaScript version of ophis/scores.

import { meanOf } from "./probabilities.js";

/** @import { PhotoScores } from "./decision.js" */
/** @import { NetworkOutput } from "./network.js" */

/** @typedef {{scale: number | number[], offset: number | number[]}} Calibration */

/**
 * Calibration of a member, and its columns in the order of the species.
 *
 * @typedef {{columns: number[], calibration: Calibration | null}} Member
 */

/**
 * The mean of all networks' logits, and of their OOD scores where all give one.
 *
 * @param {Member[]} members
 * @param {{name: string, sha256: string, why: string | null, outputs: NetworkOutput[]}} photo
 * @returns {PhotoScores}
 */
export function ensemble(members, { name, sha256, why, outputs }) {
  const rows = members.map(({ columns, calibration }, number) => {
    const logits = calibrate(Float64Array.from(outputs[number]?.logits ?? []), calibration);
    return Float64Array.from(columns, (column) => logits[column] ?? 0);
  });
  const oodScores = outputs.flatMap(({ ood_score }) => ood_score ?? []);
  const sum = oodScores.reduce((a, b) => a + b, 0);
  const ood_score = oodScores.length === outputs.length ? sum / outputs.length : null;
  return { name, sha256, why, logits: meanOf(rows), ood_score };
}

/**
 * Logits multiplied by scale, plus offset.
 *
 * @param {Float64Array} row
 * @param {Calibration | null} calibration
 */
export function calibrate(row, calibration) {
  if (!calibration) return row;
  const { scale, offset } = calibration;
  const of = (/** @type {number | number[]} */ numbers, /** @type {number} */ column) =>
    Array.isArray(numbers) ? (numbers[column] ?? 0) : numbers;
  return row.map((logit, column) => logit * of(scale, column) + of(offset, column));
}

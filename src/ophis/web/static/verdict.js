// Danger verdict; JavaScript version of ophis/decision/verdict.py.

import { ROUNDING } from "./conformal.js";
import { probabilities } from "./probabilities.js";

export const MIN_SINGLE_NAME = 0.8; // least threshold of names
const MIN_IMAGE_DANGER = 1 - MIN_SINGLE_NAME; // of dangerous species, at which an image shows danger
export const MAY_BE_VENOMOUS = "may be venomous";
export const NOT_KNOWN_DANGEROUS = "not known to be dangerous";

/**
 * True if the probability of dangerous species is 20 % or more.
 *
 * @param {ArrayLike<number>} logits
 * @param {number[]} dangerous columns of dangerous species.
 */
export function showsDanger(logits, dangerous) {
  const p = probabilities(logits);
  const risk = dangerous.reduce((sum, column) => sum + (p[column] ?? 0), 0);
  return risk >= MIN_IMAGE_DANGER - ROUNDING;
}

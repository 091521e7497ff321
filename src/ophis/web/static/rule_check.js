// Bounds of the decision rule of a page; JavaScript version of those in ophis/decision/guarantees.py.

/** @import { Rule } from "./row_decision.js" */

const MIN_SINGLE_NAME = 0.8; // least threshold of names
const MAX_TOLERANCE = 0.1; // of a self-test, as a fraction of the largest logit

/**
 * Refuse thresholds and self-tests that no export writes.
 *
 * @param {{species: unknown[], rule: Rule | null,
 *   selftests: ({photo: string, logits: number[], tolerance: number} | null)[]}} facts
 * @throws {RangeError} naming the field.
 */
export function requireBounds({ species, rule, selftests }) {
  if (rule) {
    const { image, country, limit } = rule;
    requireThresholds("image.names", image.names, species.length, MIN_SINGLE_NAME);
    requireThresholds("image.danger", image.danger, species.length, 0);
    if (country) requireThresholds("country", country, species.length, MIN_SINGLE_NAME);
    if (limit !== null && !Number.isFinite(limit)) throw new RangeError("facts.json: rule.limit");
  }
  for (const test of selftests) {
    if (test && !(test.photo && test.tolerance >= 0 && test.tolerance <= MAX_TOLERANCE)) {
      throw new RangeError(`facts.json: self-test with tolerance ${test.tolerance}`);
    }
  }
}

/**
 * @param {string} field
 * @param {(number | null)[]} thresholds
 * @param {number} count
 * @param {number} least
 */
function requireThresholds(field, thresholds, count, least) {
  const good = (/** @type {number | null} */ value) =>
    value === null || (typeof value === "number" && value >= least);
  if (thresholds.length !== count || !thresholds.every(good)) {
    throw new RangeError(`facts.json: thresholds of ${field} should be at least ${least}`);
  }
}

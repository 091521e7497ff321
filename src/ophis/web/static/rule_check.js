// Bounds of the decision rule, the calibrations and the self-tests of a page; JavaScript version of
// those in ophis/decision (rule.py, guarantees.py, calibration.py) and ophis/inference/self_test.py.

import { leastObservations } from "./conformal.js";
import { MAY_BE_VENOMOUS, MIN_SINGLE_NAME, NOT_KNOWN_DANGEROUS } from "./verdict.js";

/** @import { PredictionSets } from "./conformal.js" */
/** @import { Calibration } from "./ensemble.js" */
/** @import { Facts, Rule } from "./row_decision.js" */
/** @import { SelfTest } from "./self_test.js" */

/** @typedef {{coverage: number, threshold: number}} Least - of a fit */

/** @type {Least} */
const NAMES = { coverage: 0.95, threshold: MIN_SINGLE_NAME };
/** @type {Least} */
const DANGER = { coverage: 0.99, threshold: 0 };
const OOD_SCORES = ["feature distance", "energy"];
const VERDICTS = [MAY_BE_VENOMOUS, NOT_KNOWN_DANGEROUS];
const MAX_SCALE = 1e6; // of a calibration
const MAX_OFFSET = 1e3;
const MAX_TOLERANCE = 0.1; // of a self-test, as a fraction of the largest logit

/**
 * Refuse decision rules, calibrations and self-tests that no export writes.
 *
 * @param {Facts & {selftests: (SelfTest | null)[]}} facts
 * @throws {RangeError} naming the file, and the field or what is missing.
 */
export function requireBounds(facts) {
  try {
    const { species, members, calibration, rule, selftests } = facts;
    if (!species.every(({ dangerous }) => typeof dangerous === "boolean")) {
      throw new RangeError("a species lacks its danger");
    }
    for (const one of [calibration, ...members.map((member) => member.calibration)]) {
      if (one !== null) requireCalibration(one, species.length);
    }
    if (rule !== null) requireRule(rule, species.length);
    requireLength("selftests", selftests, members.length, "networks");
    for (const test of selftests) if (test !== null) requireSelfTest(test);
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new RangeError(`facts.json: ${reason}; export the page again`);
  }
}

/**
 * @param {Calibration} calibration
 * @param {number} species
 */
function requireCalibration({ scale, offset }, species) {
  for (const [field, numbers, least, most] of /** @type {const} */ ([
    ["calibration.scale", scale, 1 / MAX_SCALE, MAX_SCALE],
    ["calibration.offset", offset, -MAX_OFFSET, MAX_OFFSET],
  ])) {
    if (Array.isArray(numbers)) requireLength(field, numbers, species, "species");
    requireNumbers(field, Array.isArray(numbers) ? numbers : [numbers], least, most);
  }
}

/**
 * @param {Rule} rule
 * @param {number} species
 */
function requireRule({ ood, image, country }, species) {
  const { by, limit, passing } = ood;
  requireNumbers("ood", limit === null ? [passing] : [passing, limit], Number.NEGATIVE_INFINITY);
  requireSets("image.names", image.names, species, NAMES);
  requireSets("image.danger", image.danger, species, DANGER);
  if (country !== null) requireSets("country", country, species, NAMES);
  if (!OOD_SCORES.includes(by) || passing <= 0 || passing >= 1) {
    throw new RangeError(`ood has by ${by}, passing ${passing}`);
  }
}

/**
 * @param {string} field
 * @param {PredictionSets} sets
 * @param {number} species
 * @param {Least} least
 */
function requireSets(field, { coverage, confidence, observations, thresholds }, species, least) {
  requireNumbers(`${field}.coverage`, [coverage], least.coverage);
  requireNumbers(`${field}.observations`, observations, 0);
  requireLength(`${field}.observations`, observations, species, "species");
  requireLength(`${field}.thresholds`, thresholds, species, "species");
  if (confidence !== null) requireNumbers(`${field}.confidence`, [confidence], 0);
  const needed = leastObservations(coverage, confidence);
  thresholds.forEach((threshold, column) => {
    if (threshold === null) return;
    requireNumbers(`${field}.thresholds`, [threshold], least.threshold);
    const few = observations[column] ?? 0;
    if (few < needed) {
      throw new RangeError(`a threshold of ${field} has ${few} observations; it needs ${needed}`);
    }
  });
}

/** @param {SelfTest} test */
function requireSelfTest({ photo, logits, tolerance, verdict }) {
  if (typeof photo !== "string" || !photo) throw new RangeError("a self-test has no photo");
  if (!VERDICTS.includes(verdict)) throw new RangeError(`a self-test has the verdict ${verdict}`);
  requireNumbers("selftests.logits", logits, Number.NEGATIVE_INFINITY);
  requireNumbers("selftests.tolerance", [tolerance], 0, MAX_TOLERANCE);
}

/**
 * @param {string} field
 * @param {unknown[]} values
 * @param {number} least
 * @param {number} most
 */
function requireNumbers(field, values, least, most = Number.MAX_VALUE) {
  for (const value of values) {
    if (typeof value !== "number" || !(value >= least && value <= most)) {
      const upper = most === Number.MAX_VALUE ? "" : ` and at most ${most}`;
      throw new RangeError(`${field} holds ${value}, not a number of at least ${least}${upper}`);
    }
  }
}

/**
 * @param {string} field
 * @param {unknown[]} values
 * @param {number} count
 * @param {string} what
 */
function requireLength(field, values, count, what) {
  if (!Array.isArray(values) || values.length !== count) {
    throw new RangeError(`${field} should have ${count} entries, one for each of the ${what}`);
  }
}

// Decision about one row of logits; JavaScript version of ophis/decision/rule.py.

import { ROUNDING, setOf } from "./conformal.js";
import { calibrate } from "./ensemble.js";
import { Prior } from "./prior.js";
import { probabilities, ranked } from "./probabilities.js";

/** @import { Calibration, Member } from "./ensemble.js" */
/** @import { Country, Effect, Place } from "./prior.js" */

const DANGER_LIMIT = 1 - 0.8; // probability of venomous species at which an image shows danger
export const MAY_BE_VENOMOUS = "may be venomous";
const NOT_KNOWN_DANGEROUS = "not known to be dangerous";

/** @typedef {{name: string, danger: string, dangerous: boolean, genus: string,
 *   family: string | null}} Species */

/**
 * Nonconformity threshold of each species; null: no guarantee, the species is always in the set.
 *
 * @typedef {{names: (number | null)[], danger: (number | null)[]}} Guarantees
 */

/**
 * Content of decision.json for the page.
 *
 * @typedef {object} Rule
 * @property {string} by
 * @property {number | null} limit
 * @property {Guarantees} image
 * @property {(number | null)[] | null} country thresholds of names with a country; null: none fitted.
 * @property {boolean} danger_guaranteed true if enough venomous snakes were tested.
 */

/**
 * Content of model/facts.json, written by ophis/web/facts.py.
 *
 * @typedef {object} Facts
 * @property {string} bundle version.
 * @property {Species[]} species
 * @property {Member[]} members networks of the bundle.
 * @property {Calibration | null} calibration
 * @property {Rule | null} rule
 * @property {{temperature: number, rows: number} | null} prior
 * @property {Record<string, Country>} countries by key.
 */

/** @typedef {{state: string, name: string | null, species: number[], verdict: string,
 *   joined: boolean, contradicting?: boolean}} Decision - contradicting: photos of several snakes */

/** Decisions of a bundle about single rows of logits. */
export class RowDecider {
  /**
   * @param {Facts} facts
   * @param {Float64Array} table rows of the prior, [rows, species]; empty without a prior.
   */
  constructor(facts, table) {
    this.facts = facts;
    const names = facts.species.map(({ name }) => name);
    const sorted = [...names].sort(); // by code units, which equals Python's order for these names
    this.order = names.map((name) => sorted.indexOf(name));
    this.prior =
      facts.prior &&
      new Prior(facts.prior.temperature, facts.countries, table, facts.species.length);
  }

  /** @param {number} column */
  species(column) {
    return /** @type {Species} */ (this.facts.species[column]);
  }

  /**
   * Logits with the prior of the place, or calibrated logits without one.
   *
   * @param {Float64Array} row
   * @param {Place} place
   * @returns {[row: Float64Array, effect: Effect]}
   */
  adjusted(row, place) {
    if (place.weights.length && this.prior) return this.prior.adjusted(row, place);
    const use = place.weights.length ? "no prior" : "no country";
    const effect = { use, contradicts: false, overridden: false };
    return [calibrate(row, this.facts.calibration), effect];
  }

  /**
   * Species that the image alone does not exclude; without a rule the most probable one.
   *
   * @param {Float64Array} image calibrated logits of the image alone
   * @returns {boolean[]}
   */
  names(image) {
    const { rule } = this.facts;
    if (rule) return setOf(image, rule.image.names, this.order);
    const [best] = ranked(image, this.order);
    return Array.from(image, (_, column) => column === best);
  }

  /**
   * Decision for one row of logits. A place may add a warning; it removes none of the image.
   *
   * @param {Float64Array} raw
   * @param {Place} place
   * @returns {Decision}
   */
  decide(raw, place) {
    const { rule, calibration } = this.facts;
    const [row, effect] = this.adjusted(raw, place);
    if (!rule) return this.#decision(row, () => true, true);
    const image = calibrate(raw, calibration);
    const names = this.names(image);
    const risky = this.#mayBeVenomous(image, names) || this.#imageShowsDanger(image);
    const alone = this.#decision(image, (column) => names[column] === true, risky);
    if (!place.weights.length || !this.prior) return alone;
    const [possible, joined] = this.#withPlace(names, row, effect.of_country === true);
    const warned =
      alone.verdict === MAY_BE_VENOMOUS ||
      this.facts.species.some(({ dangerous }, column) => dangerous && possible[column]);
    return { ...this.#decision(row, (column) => possible[column] === true, warned), joined };
  }

  /**
   * Set of names with a place, and whether it is joined to that of the image.
   *
   * @param {boolean[]} names set of the image alone.
   * @param {Float64Array} row logits with the prior of the place.
   * @param {boolean} tested true if the set of the country may be used.
   * @returns {[possible: boolean[], joined: boolean]}
   */
  #withPlace(names, row, tested) {
    const { country, image } = /** @type {Rule} */ (this.facts.rule);
    if (!country) return [names.map(() => true), true];
    if (tested && !country.includes(null)) return [setOf(row, country, this.order), false];
    const beside = setOf(row, image.names, this.order);
    return [names.map((found, column) => found || beside[column] === true), true];
  }

  /** @param {Float64Array} image calibrated logits of the image alone */
  #imageShowsDanger(image) {
    const p = probabilities(image);
    const risk = p.reduce(
      (sum, value, column) => sum + (this.species(column).dangerous ? value : 0),
      0,
    );
    return risk >= DANGER_LIMIT - ROUNDING;
  }

  /**
   * True if an image may show a venomous species; always true without a guarantee for them.
   *
   * @param {Float64Array} image calibrated logits of the image alone
   * @param {boolean[]} names species that the image does not exclude
   */
  #mayBeVenomous(image, names) {
    const { image: guarantees, danger_guaranteed } = /** @type {Rule} */ (this.facts.rule);
    if (!danger_guaranteed) return true;
    const danger = setOf(image, guarantees.danger, this.order);
    return this.facts.species.some(
      ({ dangerous }, column) => dangerous && (names[column] || danger[column]),
    );
  }

  /**
   * @param {Float64Array} row
   * @param {(column: number) => boolean} possible
   * @param {boolean} risky
   * @returns {Decision}
   */
  #decision(row, possible, risky) {
    const species = ranked(row, this.order).filter(possible);
    const [state, name] = rollUp(species.map((column) => this.species(column)));
    const known = !risky && state !== "unidentified";
    const verdict = known ? NOT_KNOWN_DANGEROUS : MAY_BE_VENOMOUS;
    return { state, name, species, verdict, joined: false };
  }
}

/**
 * @param {string} state
 * @returns {Decision}
 */
export function noName(state) {
  return { state, name: null, species: [], verdict: MAY_BE_VENOMOUS, joined: false };
}

/**
 * Common taxon of the candidates: species, genus, family, or none.
 *
 * @param {Species[]} candidates
 * @returns {[state: string, name: string | null]}
 */
function rollUp(candidates) {
  const [first] = candidates;
  if (!first) return ["unidentified", null];
  if (candidates.length === 1) return ["species", first.name];
  if (!first.family || candidates.some((kind) => kind.family !== first.family)) {
    return ["unidentified", null];
  }
  const genus = candidates.every((kind) => kind.genus === first.genus);
  return genus ? ["genus", first.genus] : ["family", first.family];
}

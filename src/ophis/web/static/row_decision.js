// Decision about one row of logits; JavaScript version of ophis/decision/rule.py.

import { setOf } from "./conformal.js";
import { calibrate } from "./ensemble.js";
import { LocationPrior } from "./location_prior.js";
import { Prior } from "./prior.js";
import { ranked } from "./probabilities.js";
import { MAY_BE_VENOMOUS, NOT_KNOWN_DANGEROUS, showsDanger } from "./verdict.js";

/** @import { PredictionSets } from "./conformal.js" */
/** @import { Calibration, Member } from "./ensemble.js" */
/** @import { LocationSettings } from "./location_prior.js" */
/** @import { Country, Effect, Place } from "./prior.js" */

/** @typedef {{name: string, danger: string, dangerous: boolean, genus: string,
 *   family: string | null}} Species */

/**
 * Content of decision.json.
 *
 * @typedef {object} Rule
 * @property {{by: string, limit: number | null, passing: number}} ood
 * @property {{names: PredictionSets, danger: PredictionSets}} image
 * @property {PredictionSets | null} country sets of names with a country; null: none fitted.
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
 * @property {{temperature: number, rows: number, location: LocationSettings | null} | null} prior
 * @property {Record<string, Country>} countries by key.
 */

/** @typedef {{state: string, name: string | null, species: number[], verdict: string,
 *   joined: boolean, contradicting?: boolean}} Decision - contradicting: photos of several snakes */

/** Decisions of a bundle about single rows of logits. */
export class RowDecider {
  /**
   * @param {Facts} facts
   * @param {Float64Array} table rows of the prior, [rows, species]; empty without a prior.
   * @param {ArrayBuffer} records rows of records; empty without any.
   */
  constructor(facts, table, records) {
    this.facts = facts;
    const names = facts.species.map(({ name }) => name);
    const sorted = [...names].sort(); // by code units, which equals Python's order for these names
    this.order = names.map((name) => sorted.indexOf(name));
    this.dangerous = facts.species.flatMap(({ dangerous }, column) => (dangerous ? [column] : []));
    // True if enough venomous snakes were tested to exclude danger.
    this.dangerGuaranteed =
      this.dangerous.length > 0 &&
      this.dangerous.every((column) =>
        Number.isFinite(facts.rule?.image.danger.thresholds[column]),
      );
    this.prior = facts.prior && priorOf(facts, facts.prior, table, records);
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
    if (this.prior?.uses(place)) return this.prior.adjusted(row, place);
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
    if (rule) return setOf(image, rule.image.names.thresholds, this.order);
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
    const risky = this.#mayBeVenomous(image, names) || showsDanger(image, this.dangerous);
    const alone = this.#decision(image, (column) => names[column] === true, risky);
    if (!this.prior?.uses(place)) return alone;
    const [possible, joined] = this.#withPlace(names, row, effect.of_country === true);
    const warned =
      alone.verdict === MAY_BE_VENOMOUS || this.dangerous.some((column) => possible[column]);
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
    const { thresholds } = country;
    if (tested && !thresholds.includes(null)) return [setOf(row, thresholds, this.order), false];
    const beside = setOf(row, image.names.thresholds, this.order);
    return [names.map((found, column) => found || beside[column] === true), true];
  }

  /**
   * True if an image may show a venomous species; always true without a guarantee for them.
   *
   * @param {Float64Array} image calibrated logits of the image alone
   * @param {boolean[]} names species that the image does not exclude
   */
  #mayBeVenomous(image, names) {
    if (!this.dangerGuaranteed) return true;
    const { thresholds } = /** @type {Rule} */ (this.facts.rule).image.danger;
    const danger = setOf(image, thresholds, this.order);
    return this.dangerous.some((column) => names[column] || danger[column]);
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
 * @param {Facts} facts
 * @param {NonNullable<Facts["prior"]>} prior
 * @param {Float64Array} table
 * @param {ArrayBuffer} records
 */
function priorOf({ countries, species }, { temperature, rows, location }, table, records) {
  const number = species.length;
  const world = table.subarray((rows - 1) * number); // the last row, if there are records
  const places = location && new LocationPrior(location, records, world);
  return new Prior(temperature, countries, table, number, places);
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

// Decision from logits to an answer; JavaScript version of ophis/decision.

import { answerLines } from "./answer_lines.js";
import { ROUNDING, setOf } from "./conformal.js";
import { calibrate } from "./ensemble.js";
import { Prior } from "./prior.js";
import { energy, meanOf, probabilities, ranked } from "./probabilities.js";

/** @import { Answer } from "./backend.js" */
/** @import { Calibration, Member } from "./ensemble.js" */
/** @import { Country, Effect, Place } from "./prior.js" */
/** @import { Sections } from "./answer_lines.js" */

const DANGER_LIMIT = 1 - 0.8; // probability of venomous species at which an image shows danger
const MAY_BE_VENOMOUS = "may be venomous";
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

/**
 * Scores of one photo.
 *
 * @typedef {object} PhotoScores
 * @property {string} name
 * @property {string} sha256
 * @property {string | null} why reason why it is not usable; null: usable.
 * @property {Float64Array} logits in the order of the species.
 * @property {number | null} ood_score
 */

/** @typedef {Answer["failures"][number]} Failure */

/** @typedef {{state: string, name: string | null, species: number[], verdict: string,
 *   joined: boolean}} Decision */

/** Decision layer of a bundle. */
export class Decider {
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

  /**
   * Answer for one snake in several photos.
   *
   * @param {PhotoScores[]} photos one or more.
   * @param {Failure[]} failures
   * @param {Place} place
   * @param {{top: number, sections: Sections}} options
   * @returns {Answer}
   */
  answer(photos, failures, place, { top, sections }) {
    const seen = photos.map((photo) => ({
      name: photo.name,
      sha256: photo.sha256,
      left_out: photo.why ?? (this.#isOod(photo) ? "unlike" : null),
    }));
    const raw = photos.map((photo) => photo.logits);
    const kept = raw.filter((_, number) => !seen[number]?.left_out);
    const one = meanOf(kept.length ? kept : raw);
    const [adjusted, effect] = this.#adjusted(one, place);
    const decision = this.#decide(raw, one, place, seen);
    const guesses = decision.species.length ? this.#guesses(adjusted, top) : [];
    return this.#toAnswer(sections, decision, place, effect, { photos: seen, failures, guesses });
  }

  /**
   * @param {Sections} sections
   * @param {Decision} decision
   * @param {Place} place
   * @param {Effect} effect
   * @param {Pick<Answer, "photos" | "failures" | "guesses">} parts
   * @returns {Answer}
   */
  #toAnswer(sections, decision, place, effect, parts) {
    const { facts } = this;
    const evaluated = facts.rule !== null;
    const danger_guaranteed = facts.rule?.danger_guaranteed ?? false;
    const countries = Object.fromEntries(
      place.weights.map(([key, weight]) => [facts.countries[key]?.spelling ?? key, weight]),
    );
    const { photos, failures, guesses } = parts;
    return {
      photos,
      failures,
      state: decision.state,
      name: decision.name,
      verdict: decision.verdict,
      evaluated,
      possible: decision.species.map((column) => this.#species(column).name),
      guesses,
      country: Object.keys(countries)[0] ?? "UNKNOWN",
      countries,
      source: place.source,
      prior: effect.use,
      contradicts: effect.contradicts,
      overridden: effect.overridden,
      joined: decision.joined,
      danger_guaranteed,
      bundle: facts.bundle,
      language: sections.language,
      lines: answerLines(sections, decision, place, {
        effect,
        photos,
        evaluated,
        danger_guaranteed,
        countries: facts.countries,
      }),
      evidence: [],
    };
  }

  /** @param {number} column */
  #species(column) {
    return /** @type {Species} */ (this.facts.species[column]);
  }

  /** @param {PhotoScores} photo */
  #isOod({ logits, ood_score }) {
    const { rule } = this.facts;
    if (!rule) return false;
    if (rule.by === "energy") return energy(logits) > (rule.limit ?? Number.POSITIVE_INFINITY);
    if (ood_score === null)
      throw new Error("the rule uses the OOD score, but the network gives none");
    return ood_score > (rule.limit ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Logits with the prior of the place, or calibrated logits without one.
   *
   * @param {Float64Array} row
   * @param {Place} place
   * @returns {[row: Float64Array, effect: Effect]}
   */
  #adjusted(row, place) {
    if (place.weights.length && this.prior) return this.prior.adjusted(row, place);
    const use = place.weights.length ? "no prior" : "no country";
    const effect = { use, contradicts: false, overridden: false };
    return [calibrate(row, this.facts.calibration), effect];
  }

  /**
   * Decision for the aggregated photos; a warning from any single photo is kept.
   *
   * @param {Float64Array[]} raw of each photo.
   * @param {Float64Array} one all photos aggregated.
   * @param {Place} place
   * @param {{left_out: string | null}[]} seen
   * @returns {Decision}
   */
  #decide(raw, one, place, seen) {
    if (seen.every((photo) => photo.left_out)) {
      const unlike = seen.some((photo) => photo.left_out === "unlike");
      return noName(unlike ? "no snake" : "unusable");
    }
    const joint = this.#decideRow(one, place);
    if (joint.verdict === MAY_BE_VENOMOUS) return joint;
    const warned = raw.some((row) => this.#decideRow(row, place).verdict === MAY_BE_VENOMOUS);
    return warned ? { ...joint, verdict: MAY_BE_VENOMOUS } : joint;
  }

  /**
   * Decision for one row of logits. A place may add a warning; it removes none of the image.
   *
   * @param {Float64Array} raw
   * @param {Place} place
   * @returns {Decision}
   */
  #decideRow(raw, place) {
    const { rule, calibration } = this.facts;
    const [row, effect] = this.#adjusted(raw, place);
    if (!rule) return this.#decision(row, () => true, true);
    const image = calibrate(raw, calibration);
    const names = setOf(image, rule.image.names, this.order);
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
      (sum, value, column) => sum + (this.#species(column).dangerous ? value : 0),
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
    const [state, name] = rollUp(species.map((column) => this.#species(column)));
    const known = !risky && state !== "unidentified";
    const verdict = known ? NOT_KNOWN_DANGEROUS : MAY_BE_VENOMOUS;
    return { state, name, species, verdict, joined: false };
  }

  /**
   * @param {Float64Array} row
   * @param {number} top
   */
  #guesses(row, top) {
    const p = probabilities(row);
    return ranked(row, this.order)
      .slice(0, top)
      .map((column) => ({
        species: this.#species(column).name,
        probability: p[column] ?? 0,
        danger: this.#species(column).danger,
      }));
  }
}

/**
 * @param {string} state
 * @returns {Decision}
 */
function noName(state) {
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

// From logits to an answer: what ophis/classifier.py, decision.py, guarantees.py and conformal.py do.

import { sentences } from "./answer_lines.js";
import { ROUNDING, setOf } from "./conformal.js";
import { mended } from "./ensemble.js";
import { Prior } from "./prior.js";
import { energy, meanOf, probabilities, ranked } from "./probabilities.js";

/** @import { Answer } from "./backend.js" */
/** @import { Calibration, Member } from "./ensemble.js" */
/** @import { Country, Effect, Place } from "./prior.js" */
/** @import { Words } from "./answer_lines.js" */

const HEARD = 1 - 0.8; // of danger; with that much, by the image alone, no country takes it away
const MAY_BE_VENOMOUS = "may be venomous";
const NOT_KNOWN_DANGEROUS = "not known to be dangerous";

/** @typedef {{name: string, danger: string, dangerous: boolean, genus: string,
 *   family: string | null}} Species */

/**
 * Thresholds of nonconformity a species; null: none was promised, so it is always in.
 *
 * @typedef {{names: (number | null)[], danger: (number | null)[]}} Guarantees
 */

/** @typedef {{by: string, limit: number | null, image: Guarantees, country: Guarantees | null}} Rule */

/**
 * model/facts.json: all of a bundle but its networks; ophis/page/facts.py writes it.
 *
 * @typedef {object} Facts
 * @property {string} bundle its version.
 * @property {Species[]} species
 * @property {Member[]} members its networks.
 * @property {Calibration | null} calibration
 * @property {Rule | null} rule
 * @property {{temperature: number, rows: number} | null} prior
 * @property {Record<string, Country>} countries by key.
 */

/**
 * What the networks made of a photo.
 *
 * @typedef {object} Seen
 * @property {string} name
 * @property {string} sha256
 * @property {string | null} why it is not usable; null: it is.
 * @property {Float64Array} logits in the order of the species.
 * @property {number | null} ood_score
 */

/** @typedef {Answer["failures"][number]} Failure */

/** @typedef {{state: string, name: string | null, species: number[], verdict: string}} Decision */

/** A bundle's knowledge, ready to decide. */
export class Decider {
  /**
   * @param {Facts} facts
   * @param {Float64Array} table of the prior, [rows, species]; empty without one.
   */
  constructor(facts, table) {
    this.facts = facts;
    const names = facts.species.map(({ name }) => name);
    const sorted = [...names].sort(); // by code units, for names as by code points
    this.order = names.map((name) => sorted.indexOf(name));
    this.prior =
      facts.prior &&
      new Prior(facts.prior.temperature, facts.countries, table, facts.species.length);
  }

  /**
   * What is said of one snake in several photos.
   *
   * @param {Seen[]} photos one or more.
   * @param {Failure[]} failures
   * @param {Place} place
   * @param {{top: number, words: Words}} options
   * @returns {Answer}
   */
  answer(photos, failures, place, { top, words }) {
    const seen = photos.map((photo) => ({
      name: photo.name,
      sha256: photo.sha256,
      left_out: photo.why ?? (this.#isOod(photo) ? "unlike" : null),
    }));
    const raw = photos.map((photo) => photo.logits);
    const kept = raw.filter((_, number) => !seen[number]?.left_out);
    const one = meanOf(kept.length ? kept : raw);
    const [[adjusted = new Float64Array()], effect] = this.#adjusted([one], place);
    const decision = this.#decide(raw, [one, adjusted], place, seen);
    const guesses = decision.species.length ? this.#guesses(adjusted, top) : [];
    return this.#said(words, decision, place, effect, { photos: seen, failures, guesses });
  }

  /**
   * @param {Words} words
   * @param {Decision} decision
   * @param {Place} place
   * @param {Effect} effect
   * @param {Pick<Answer, "photos" | "failures" | "guesses">} seen
   * @returns {Answer}
   */
  #said(words, decision, place, effect, seen) {
    const { facts } = this;
    const judged = facts.rule !== null;
    const countries = Object.fromEntries(
      place.shares.map(([key, share]) => [facts.countries[key]?.spelling ?? key, share]),
    );
    const { photos, failures, guesses } = seen;
    return {
      photos,
      failures,
      state: decision.state,
      name: decision.name,
      verdict: decision.verdict,
      judged,
      possible: decision.species.map((column) => this.#species(column).name),
      guesses,
      country: Object.keys(countries)[0] ?? "UNKNOWN",
      countries,
      source: place.source,
      prior: effect.use,
      contradicts: effect.contradicts,
      overridden: effect.overridden,
      bundle: facts.bundle,
      language: words.language,
      lines: sentences(words, decision, place, {
        effect,
        photos,
        judged,
        countries: facts.countries,
      }),
      evidence: [],
    };
  }

  /** @param {number} column */
  #species(column) {
    return /** @type {Species} */ (this.facts.species[column]);
  }

  /** @param {Seen} photo */
  #isOod({ logits, ood_score }) {
    const { rule } = this.facts;
    if (!rule) return false;
    if (rule.by === "energy") return energy(logits) > (rule.limit ?? Number.POSITIVE_INFINITY);
    if (ood_score === null)
      throw new Error("the rule uses the OOD score, but the network gives none");
    return ood_score > (rule.limit ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Logits with the country's say, else with the calibration of the image's own.
   *
   * @param {Float64Array[]} rows
   * @param {Place} place
   * @returns {[rows: Float64Array[], effect: Effect]}
   */
  #adjusted(rows, place) {
    if (place.shares.length && this.prior) return this.prior.adjusted(rows, place);
    const use = place.shares.length ? "no prior" : "no country";
    const effect = { use, contradicts: false, overridden: false };
    return [rows.map((row) => mended(row, this.facts.calibration)), effect];
  }

  /**
   * What is said of all in one row, where the danger is also that of each photo by itself.
   *
   * @param {Float64Array[]} raw of each photo.
   * @param {[raw: Float64Array, adjusted: Float64Array]} one of all together.
   * @param {Place} place
   * @param {{left_out: string | null}[]} seen
   * @returns {Decision}
   */
  #decide(raw, one, place, seen) {
    if (seen.every((photo) => photo.left_out)) {
      const unlike = seen.some((photo) => photo.left_out === "unlike");
      return noName(unlike ? "no snake" : "unusable");
    }
    const together = this.#decided(...one, place);
    if (together.verdict === MAY_BE_VENOMOUS) return together;
    const warned = this.#adjusted(raw, place)[0].some((row, number) => {
      const { verdict } = this.#decided(raw[number] ?? row, row, place);
      return verdict === MAY_BE_VENOMOUS;
    });
    return warned ? { ...together, verdict: MAY_BE_VENOMOUS } : together;
  }

  /**
   * What is said of a row by itself.
   *
   * @param {Float64Array} raw
   * @param {Float64Array} row the same, adjusted.
   * @param {Place} place
   * @returns {Decision}
   */
  #decided(raw, row, place) {
    const { rule, calibration } = this.facts;
    if (!rule) return this.#decision(row, () => true, true);
    const heard = place.shares.length > 0 && this.prior !== null;
    const guarantees = (heard && rule.country) || rule.image;
    const names = setOf(row, guarantees.names, this.order);
    const image = mended(raw, calibration);
    const risky = this.#mayBe(row, guarantees, names) || (heard && this.#seenDanger(image));
    return this.#decision(row, (column) => names[column] === true, risky);
  }

  /** @param {Float64Array} image logits of the image alone, calibrated */
  #seenDanger(image) {
    const p = probabilities(image);
    const risk = p.reduce(
      (sum, own, column) => sum + (this.#species(column).dangerous ? own : 0),
      0,
    );
    return risk >= HEARD - ROUNDING;
  }

  /**
   * Whether a photo may show a venomous species; always, where nothing was promised of them.
   *
   * @param {Float64Array} row
   * @param {Guarantees} guarantees
   * @param {boolean[]} names which cannot be excluded
   */
  #mayBe(row, guarantees, names) {
    const columns = this.facts.species.flatMap((kind, column) => (kind.dangerous ? column : []));
    if (!columns.length || columns.some((column) => guarantees.danger[column] === null))
      return true;
    const danger = setOf(row, guarantees.danger, this.order);
    return columns.some((column) => names[column] || danger[column]);
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
    return { state, name, species, verdict: known ? NOT_KNOWN_DANGEROUS : MAY_BE_VENOMOUS };
  }

  /**
   * @param {Float64Array} row
   * @param {number} top
   */
  #guesses(row, top) {
    const p = probabilities(row);
    return ranked(p, this.order)
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
  return { state, name: null, species: [], verdict: MAY_BE_VENOMOUS };
}

/**
 * What several possible species have in common: a species, genus, family or nothing.
 *
 * @param {Species[]} kinds
 * @returns {[state: string, name: string | null]}
 */
function rollUp(kinds) {
  const [first] = kinds;
  if (!first) return ["unidentified", null];
  if (kinds.length === 1) return ["species", first.name];
  if (!first.family || kinds.some((kind) => kind.family !== first.family)) {
    return ["unidentified", null];
  }
  const genus = kinds.every((kind) => kind.genus === first.genus);
  return genus ? ["genus", first.genus] : ["family", first.family];
}

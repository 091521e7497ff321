// Decision from logits to an answer; JavaScript version of ophis/inference/observation.py.

import { answerLines } from "./answer_lines.js";
import { calibrate } from "./ensemble.js";
import { energy, even, meanOf, probabilities, ranked } from "./probabilities.js";
import { noName, RowDecider } from "./row_decision.js";
import { MAY_BE_VENOMOUS } from "./verdict.js";

/** @import { Answer } from "./backend.js" */
/** @import { Nearby } from "./location_prior.js" */
/** @import { Effect, Place } from "./prior.js" */
/** @import { Decision, Facts } from "./row_decision.js" */
/** @import { Sections } from "./answer_lines.js" */

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

/** Decision layer of a bundle. */
export class Decider {
  /**
   * @param {Facts} facts
   * @param {Float64Array} table rows of the prior, [rows, species]; empty without a prior.
   * @param {ArrayBuffer} [records] rows of records around positions.
   */
  constructor(facts, table, records = new ArrayBuffer(0)) {
    this.facts = facts;
    this.rows = new RowDecider(facts, table, records);
  }

  /**
   * Answer for one snake in several photos; photos that contradict each other are answered alone.
   *
   * @param {PhotoScores[]} photos one or more.
   * @param {Failure[]} failures
   * @param {Place} place
   * @param {{top: number, sections: Sections}} options
   * @returns {Answer}
   */
  answer(photos, failures, place, options) {
    const { top, sections } = options;
    const seen = photos.map((photo) => ({
      name: photo.name,
      sha256: photo.sha256,
      left_out: photo.why ?? (this.#isOod(photo) ? "unlike" : null),
    }));
    const raw = photos.map((photo) => photo.logits);
    const kept = raw.filter((_, number) => !seen[number]?.left_out);
    const one = meanOf(kept.length ? kept : raw);
    const nearby = this.rows.prior?.nearby(place) ?? null;
    const [adjusted, use] = this.rows.adjusted(one, place);
    const effect = { ...use, records: nearby?.total ?? null };
    const decision = this.#contradict(kept)
      ? this.#notOneSnake(kept, adjusted, place)
      : this.#decide(raw, one, place, seen);
    const { contradicting } = decision;
    const each = contradicting
      ? photos.map((photo) => this.answer([photo], [], place, options))
      : [];
    const named = decision.species.length && !contradicting;
    const guesses = named ? this.#guesses(adjusted, top, nearby) : [];
    const parts = { photos: seen, failures, guesses, each };
    return this.#toAnswer(sections, decision, place, effect, parts);
  }

  /**
   * @param {Sections} sections
   * @param {Decision} decision
   * @param {Place} place
   * @param {Effect} effect
   * @param {Pick<Answer, "photos" | "failures" | "guesses" | "each">} parts
   * @returns {Answer}
   */
  #toAnswer(sections, decision, place, effect, parts) {
    const { facts } = this;
    const evaluated = facts.rule !== null;
    const danger_guaranteed = this.rows.dangerGuaranteed;
    const countries = Object.fromEntries(
      place.weights.map(([key, weight]) => [facts.countries[key]?.spelling ?? key, weight]),
    );
    const { photos, failures, guesses, each } = parts;
    return {
      photos,
      failures,
      state: decision.state,
      name: decision.name,
      verdict: decision.verdict,
      evaluated,
      possible: decision.species.map((column) => this.rows.species(column).name),
      guesses,
      country: Object.keys(countries)[0] ?? "UNKNOWN",
      countries,
      source: place.source,
      prior: effect.use,
      contradicts: effect.contradicts,
      overridden: effect.overridden,
      place_records: effect.records ?? null,
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
      each,
    };
  }

  /** @param {PhotoScores} photo */
  #isOod({ logits, ood_score }) {
    const { rule } = this.facts;
    if (!rule) return false;
    const limit = rule.ood.limit ?? Number.POSITIVE_INFINITY;
    if (rule.ood.by === "energy") return energy(logits) > limit;
    if (ood_score === null)
      throw new Error("the rule uses the OOD score, but the network gives none");
    return ood_score > limit;
  }

  /**
   * True if two photos cannot show one snake by the image alone.
   *
   * @param {Float64Array[]} kept logits of the photos that are not excluded.
   */
  #contradict(kept) {
    const sets = kept.map((row) => this.rows.names(calibrate(row, this.facts.calibration)));
    return sets.some((a, number) =>
      sets.slice(0, number).some((b) => !a.some((found, column) => found && b[column])),
    );
  }

  /**
   * Decision for photos of several snakes: no name, and all species that fit any photo.
   *
   * @param {Float64Array[]} kept
   * @param {Float64Array} adjusted the aggregated photos.
   * @param {Place} place
   * @returns {Decision}
   */
  #notOneSnake(kept, adjusted, place) {
    const possible = new Set(kept.flatMap((row) => this.rows.decide(row, place).species));
    const species = ranked(adjusted, this.rows.order).filter((column) => possible.has(column));
    return { ...noName("unidentified"), species, contradicting: true };
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
    const joint = this.rows.decide(one, place);
    if (joint.verdict === MAY_BE_VENOMOUS) return joint;
    const warned = raw.some((row) => this.rows.decide(row, place).verdict === MAY_BE_VENOMOUS);
    return warned ? { ...joint, verdict: MAY_BE_VENOMOUS } : joint;
  }

  /**
   * @param {Float64Array} row
   * @param {number} top
   * @param {Nearby | null} nearby
   */
  #guesses(row, top, nearby) {
    const p = probabilities(row);
    return ranked(row, this.rows.order)
      .slice(0, top)
      .map((column) => ({
        species: this.rows.species(column).name,
        probability: p[column] ?? 0,
        danger: this.rows.species(column).danger,
        ...recordsOf(nearby, [column]),
      }));
  }
}

/**
 * Records of columns within 100 km, and whole kilometres to the nearest one within 500 km.
 *
 * @param {Nearby | null} nearby
 * @param {number[]} columns
 * @returns {{records: number | null, nearest_km: number | null}}
 */
export function recordsOf(nearby, columns) {
  if (!nearby || !columns.some((column) => nearby.known[column])) {
    return { records: null, nearest_km: null };
  }
  const km = Math.min(...columns.map((column) => nearby.nearest_km[column] ?? 0));
  const records = columns.reduce((sum, column) => sum + (nearby.records[column] ?? 0), 0);
  return { records, nearest_km: Number.isFinite(km) ? even(km) : null };
}

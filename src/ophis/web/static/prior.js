// Prior of a place from precomputed rows (ophis/web/facts.py); JavaScript version of ophis/priors.

import { largest, probabilities } from "./probabilities.js";

// Likelihood ratio below which the answer reports that photo and country contradict each other.
const CONTRADICTION = 0.05;
const UNSEEN = ["unseen", "no country"];

/**
 * Entry of a country; only `code` exists without a prior.
 *
 * @typedef {object} Country
 * @property {string | null} code ISO 3166 alpha-2.
 * @property {string} [spelling] name in the training table.
 * @property {number} [factors] table row that is added to the log-probabilities.
 * @property {number} [ratios] table row with likelihood ratios of the species.
 * @property {string} [use] source of the factors.
 * @property {boolean} [overridden] true if prior overrides apply.
 */

/** @typedef {{use: string, contradicts: boolean, overridden: boolean}} Effect */

/**
 * Countries of a photo, with weights.
 *
 * @typedef {object} Place
 * @property {[key: string, weight: number][]} weights by country key, the largest first.
 * @property {string | null} source origin of the country.
 */

/**
 * Prior of a place: terms for log-probabilities, ratios of probabilities.
 *
 * @typedef {object} PlacePrior
 * @property {Float64Array} factors
 * @property {Float64Array} ratios
 * @property {string} use
 * @property {boolean} overridden
 */

/** Prior of a bundle. */
export class Prior {
  /**
   * @param {number} temperature divisor of the logits.
   * @param {Record<string, Country>} countries by key.
   * @param {Float64Array} table [rows, species].
   * @param {number} species
   */
  constructor(temperature, countries, table, species) {
    this.temperature = temperature;
    this.countries = countries;
    this.table = table;
    this.species = species;
  }

  /**
   * Logits of photos with the prior of a place, and its effect on the first row.
   *
   * @param {Float64Array[]} rows
   * @param {Place} place with one country or more.
   * @returns {[rows: Float64Array[], effect: Effect]}
   */
  adjusted(rows, place) {
    const prior = this.#placePrior(place.weights);
    let use = prior.use;
    const joint = rows.map((row, number) => {
      const image = row.map((logit) => logit / this.temperature);
      const product = prior.factors.map((factor, column) => factor + (image[column] ?? 0));
      if (largest(product) > Number.NEGATIVE_INFINITY) return product;
      if (number === 0) use = "excluded";
      return image;
    });
    const [first = new Float64Array()] = rows;
    const contradicts = this.#likelihood(first, prior.ratios) < CONTRADICTION;
    return [joint, { use, contradicts, overridden: prior.overridden }];
  }

  /**
   * Likelihood ratio of a photo: this place against all places.
   *
   * @param {Float64Array} logits
   * @param {Float64Array} ratios
   */
  #likelihood(logits, ratios) {
    const p = probabilities(logits.map((logit) => logit / this.temperature));
    return p.reduce((sum, value, column) => sum + value * (ratios[column] ?? 0), 0);
  }

  /**
   * @param {[key: string, weight: number][]} weights
   * @returns {PlacePrior}
   */
  #placePrior(weights) {
    const parts = weights.map(([key, weight]) => ({ weight, ...this.#countryPrior(key) }));
    const [only] = parts;
    if (only && parts.length === 1) return only;
    const ratios = this.#sum(parts, "ratios", (weight, ratio) => weight * ratio);
    const overridden = parts.some((part) => part.overridden);
    const seen = parts.filter((part) => !UNSEEN.includes(part.use));
    if (!seen.length) {
      return { factors: new Float64Array(this.species), ratios, use: "unseen", overridden };
    }
    const total = seen.reduce((sum, part) => sum + part.weight, 0);
    const mean = this.#sum(seen, "factors", (w, factor) => (w / total) * Math.exp(factor));
    const most = seen.reduce((best, part) => (part.weight > best.weight ? part : best));
    return { factors: mean.map(Math.log), ratios, use: most.use, overridden };
  }

  /**
   * @param {(PlacePrior & {weight: number})[]} parts
   * @param {"factors" | "ratios"} field
   * @param {(weight: number, value: number) => number} term
   */
  #sum(parts, field, term) {
    const sum = new Float64Array(this.species);
    for (const part of parts) {
      part[field].forEach((value, column) => {
        sum[column] = (sum[column] ?? 0) + term(part.weight, value);
      });
    }
    return sum;
  }

  /**
   * @param {string} key country key.
   * @returns {PlacePrior}
   */
  #countryPrior(key) {
    const country = this.countries[key];
    if (!country) throw new Error(`the prior has no country ${key}`);
    const row = (/** @type {number | undefined} */ number) =>
      this.table.subarray((number ?? 0) * this.species, ((number ?? 0) + 1) * this.species);
    return {
      factors: row(country.factors),
      ratios: row(country.ratios),
      use: country.use ?? "no prior",
      overridden: country.overridden ?? false,
    };
  }
}

// Prior of a place from precomputed rows (ophis/web/facts.py); JavaScript version of ophis/priors.

import { largest, probabilities } from "./probabilities.js";

/** @import { LocationPrior, Nearby, Position } from "./location_prior.js" */

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
 * @property {boolean} [of_country] true if the factors rest on data of the country itself.
 */

/**
 * Effect of a place on a photo.
 *
 * @typedef {object} Effect
 * @property {string} use
 * @property {boolean} contradicts
 * @property {boolean} overridden
 * @property {boolean} [of_country] true if the place is one country and the factors rest on its data.
 * @property {number | null} [records] number within 100 km of the position.
 */

/**
 * Countries of a photo, with weights, and its position if known.
 *
 * @typedef {object} Place
 * @property {[key: string, weight: number][]} weights by country key, the largest first.
 * @property {string | null} source origin of the country.
 * @property {Position | null} [position]
 */

/**
 * Prior of a place: terms for log-probabilities, ratios of probabilities.
 *
 * @typedef {object} PlacePrior
 * @property {Float64Array} factors
 * @property {Float64Array} ratios
 * @property {string} use
 * @property {boolean} overridden
 * @property {boolean} ofCountry
 * @property {Float64Array} [p] p(s | place); only of a position.
 */

/** Prior of a bundle. */
export class Prior {
  /**
   * @param {number} temperature divisor of the logits.
   * @param {Record<string, Country>} countries by key.
   * @param {Float64Array} table [rows, species].
   * @param {number} species
   * @param {LocationPrior | null} location prior of positions.
   */
  constructor(temperature, countries, table, species, location = null) {
    this.temperature = temperature;
    this.countries = countries;
    this.table = table;
    this.species = species;
    this.location = location;
  }

  /**
   * True if this prior uses something of a place.
   *
   * @param {Place} place
   */
  uses(place) {
    return place.weights.length > 0 || (this.nearby(place)?.total ?? 0) > 0;
  }

  /**
   * Records around a position; null without a position or without records.
   *
   * @param {Place} place
   * @returns {Nearby | null}
   */
  nearby({ position }) {
    return (position && this.location?.near(position)) ?? null;
  }

  /**
   * p(s | place) by the records around a position; null if they are not used.
   *
   * @param {Place} place
   */
  probability(place) {
    return this.uses(place) ? (this.#placePrior(place).p ?? null) : null;
  }

  /**
   * Logits of a photo with the prior of a place, and its effect.
   *
   * @param {Float64Array} row
   * @param {Place} place that the prior uses.
   * @returns {[row: Float64Array, effect: Effect]}
   */
  adjusted(row, place) {
    const { factors, ratios, use, overridden, ofCountry } = this.#placePrior(place);
    const image = row.map((logit) => logit / this.temperature);
    const product = factors.map((factor, column) => factor + (image[column] ?? 0));
    const contradicts = this.#likelihood(row, ratios) < CONTRADICTION;
    if (largest(product) > Number.NEGATIVE_INFINITY) {
      return [product, { use, contradicts, overridden, of_country: ofCountry }];
    }
    return [image, { use: "excluded", contradicts, overridden, of_country: false }];
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
   * @param {Place} place
   * @returns {PlacePrior}
   */
  #placePrior(place) {
    const { location } = this;
    const around = this.#countriesPrior(place.weights);
    if (!location || !place.position) return around;
    const keys = place.weights.map(([key]) => key);
    const redistributed = location.redistribution(place.position, keys);
    const { world_exponent } = location.settings;
    const log_world = location.world.map((log) => world_exponent * log);
    const world = location.world.map(Math.exp);
    const countries = keys.length
      ? around.factors.map((factor, s) => Math.exp(factor + (log_world[s] ?? 0)))
      : world;
    const p = redistributed(countries);
    const right = keys.length ? around.ratios.map((ratio, s) => ratio * (world[s] ?? 0)) : world;
    return {
      factors: p.map((value, s) => Math.log(value) - (log_world[s] ?? 0)),
      ratios: redistributed(right).map((value, s) => value / (world[s] ?? 1)),
      use: !keys.length || location.near(place.position).total ? "place" : around.use,
      overridden: around.overridden,
      ofCountry: false,
      p,
    };
  }

  /**
   * @param {[key: string, weight: number][]} weights
   * @returns {PlacePrior}
   */
  #countriesPrior(weights) {
    const parts = weights.map(([key, weight]) => ({ weight, ...this.#countryPrior(key) }));
    const [only] = parts;
    if (only && parts.length === 1) return only;
    const ratios = this.#sum(parts, "ratios", (weight, ratio) => weight * ratio);
    const overridden = parts.some((part) => part.overridden);
    const seen = parts.filter((part) => !UNSEEN.includes(part.use));
    if (!seen.length) {
      const factors = new Float64Array(this.species);
      return { factors, ratios, use: "unseen", overridden, ofCountry: false };
    }
    const total = seen.reduce((sum, part) => sum + part.weight, 0);
    const mean = this.#sum(seen, "factors", (w, factor) => (w / total) * Math.exp(factor));
    const most = seen.reduce((best, part) => (part.weight > best.weight ? part : best));
    return { factors: mean.map(Math.log), ratios, use: most.use, overridden, ofCountry: false };
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
      ofCountry: country.of_country ?? false,
    };
  }
}

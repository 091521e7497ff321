// What a country says of the species: the rows that ophis/page/facts.py worked out, put to use as
// ophis/prior.py and ophis/mixture.py do.

import { largest, probabilities } from "./probabilities.js";

// Below this, a photo is as much rarer from the country than from anywhere: worth a word.
const CONTRADICTION = 0.05;
const UNSEEN = ["unseen", "no country"];

/**
 * What is known of a country: `code` its ISO one; the others where a bundle has a prior.
 *
 * @typedef {object} Country
 * @property {string | null} code
 * @property {string} [spelling] of the key, as the training table has it.
 * @property {number} [factors] which row of the table is added to log-probabilities.
 * @property {number} [ratios] which row tells how much likelier each species is there.
 * @property {string} [use] what the factors were made of.
 * @property {boolean} [overridden] whether a person's rules count in them.
 */

/** @typedef {{use: string, contradicts: boolean, overridden: boolean}} Effect */

/**
 * @typedef {object} Place
 * @property {[key: string, share: number][]} shares of countries, the largest first.
 * @property {string | null} source of them.
 */

/**
 * A place's say: factors of log-probabilities, ratios of probabilities.
 *
 * @typedef {object} Say
 * @property {Float64Array} factors
 * @property {Float64Array} ratios
 * @property {string} use
 * @property {boolean} overridden
 */

/** A bundle's prior. */
export class Prior {
  /**
   * @param {number} temperature what logits are divided by first.
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
   * Logits of photos multiplied by what a place says, and what it did to the first of them.
   *
   * @param {Float64Array[]} rows
   * @param {Place} place with one country or more.
   * @returns {[rows: Float64Array[], effect: Effect]}
   */
  adjusted(rows, place) {
    const say = this.#say(place.shares);
    let use = say.use;
    const joint = rows.map((row, number) => {
      const image = row.map((logit) => logit / this.temperature);
      const product = say.factors.map((factor, column) => factor + (image[column] ?? 0));
      if (largest(product) > Number.NEGATIVE_INFINITY) return product;
      if (number === 0) use = "excluded";
      return image;
    });
    const [first = new Float64Array()] = rows;
    const contradicts = this.#likelihood(first, say.ratios) < CONTRADICTION;
    return [joint, { use, contradicts, overridden: say.overridden }];
  }

  /**
   * How much likelier a photo is from a place than from anywhere.
   *
   * @param {Float64Array} logits
   * @param {Float64Array} ratios
   */
  #likelihood(logits, ratios) {
    const p = probabilities(logits.map((logit) => logit / this.temperature));
    return p.reduce((sum, value, column) => sum + value * (ratios[column] ?? 0), 0);
  }

  /**
   * @param {[key: string, share: number][]} shares
   * @returns {Say}
   */
  #say(shares) {
    const parts = shares.map(([key, share]) => ({ share, ...this.#of(key) }));
    const [only] = parts;
    if (only && parts.length === 1) return only;
    const ratios = this.#sum(parts, "ratios", (share, ratio) => share * ratio);
    const overridden = parts.some((part) => part.overridden);
    const seen = parts.filter((part) => !UNSEEN.includes(part.use));
    if (!seen.length) {
      return { factors: new Float64Array(this.species), ratios, use: "unseen", overridden };
    }
    const total = seen.reduce((sum, part) => sum + part.share, 0);
    const mean = this.#sum(seen, "factors", (w, factor) => (w / total) * Math.exp(factor));
    const most = seen.reduce((best, part) => (part.share > best.share ? part : best));
    return { factors: mean.map(Math.log), ratios, use: most.use, overridden };
  }

  /**
   * @param {(Say & {share: number})[]} parts
   * @param {"factors" | "ratios"} which
   * @param {(share: number, value: number) => number} term
   */
  #sum(parts, which, term) {
    const sum = new Float64Array(this.species);
    for (const part of parts) {
      part[which].forEach((value, column) => {
        sum[column] = (sum[column] ?? 0) + term(part.share, value);
      });
    }
    return sum;
  }

  /**
   * @param {string} key of a country that is known.
   * @returns {Say}
   */
  #of(key) {
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

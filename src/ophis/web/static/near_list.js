// Dangerous snakes of a place; JavaScript version of ophis/priors/near.py.

import { recordsOf } from "./decision.js";

/** @import { Surroundings } from "./backend.js" */

/**
 * Content of near.json, written by ophis/web/facts.py.
 *
 * @typedef {object} NearFacts
 * @property {[name: string, category: number | null, danger: string, columns: number[]][]} species
 * @property {Record<string, number[]>} countries numbers of species by ISO code.
 */

/**
 * Dangerous species that is listed for a place or recorded near it.
 *
 * @typedef {object} NearSpecies
 * @property {string} species
 * @property {string} danger
 * @property {number | null} category of the World Health Organization.
 * @property {string[]} countries ISO codes; empty for a species that is only recorded.
 * @property {number | null} probability
 * @property {number | null} records
 * @property {number | null} nearest_km
 */

/**
 * Species of a place: those recorded within 100 km first, by probability.
 *
 * @param {NearFacts} facts
 * @param {string[]} codes ISO codes of the countries.
 * @param {Surroundings | null} around records around the position; null without any.
 * @returns {NearSpecies[]}
 */
export function dangerousNear(facts, codes, around) {
  const numbers = new Set(codes.flatMap((code) => facts.countries[code] ?? []));
  /** @type {Set<number>} */
  const used = new Set();
  const listed = [...numbers]
    .sort((a, b) => a - b)
    .flatMap((number) => {
      const row = facts.species[number];
      if (!row) return [];
      const [species, category, danger, columns] = row;
      for (const column of columns) used.add(column);
      const countries = codes.filter((code) => facts.countries[code]?.includes(number));
      return { species, danger, category, countries, ...numbersOf(columns, around) };
    });
  const only = (around?.species ?? []).flatMap(({ name: species, danger }, column) => {
    if (used.has(column) || danger !== "venomous" || !around?.records[column]) return [];
    return { species, danger, category: null, countries: [], ...numbersOf([column], around) };
  });
  const rank = (/** @type {NearSpecies} */ row) => (row.records ? -(row.probability ?? 0) : 1);
  return [...listed, ...only].sort((a, b) => rank(a) - rank(b));
}

/**
 * @param {number[]} columns of a species.
 * @param {Surroundings | null} around
 */
function numbersOf(columns, around) {
  const p = columns.length ? around?.probability : null;
  const probability = p ? columns.reduce((sum, column) => sum + (p[column] ?? 0), 0) : null;
  return { probability, ...recordsOf(around, columns) };
}

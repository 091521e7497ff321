// Where in a photo the species that the answer names first was seen.

/** @import { Answer, Evidence } from "./answerer.js" */
/** @import { Facts } from "./decision.js" */
/** @import { Maps } from "./network.js" */

const STEPS = 1e4; // of a value, as ophis/evidence.py rounds them

/**
 * The map of the first guess, from 0 to 1; null where the network has none of it.
 *
 * @param {Maps | null} maps
 * @param {Pick<Answer, "guesses">} answer
 * @param {Facts} facts
 * @returns {Evidence | null}
 */
export function evidenceOf(maps, { guesses }, { species, member }) {
  const [first] = guesses;
  if (!maps || !first) return null;
  const { rows, columns } = maps;
  const names = maps.species.map((column) => species[member.columns.indexOf(column)]?.name);
  const place = names.indexOf(first.species);
  if (place < 0) return null;
  const values = maps.values.subarray(place * rows * columns, (place + 1) * rows * columns);
  const most = values.reduce((a, b) => Math.max(a, b), 1e-12);
  const shares = Array.from(values, (value) =>
    Math.fround(Math.round((Math.max(value, 0) / most) * STEPS) / STEPS),
  );
  return { species: first.species, rows, columns, values: shares };
}

// Where in a photo the species that the answer names first was seen.

/** @import { Answer, Evidence } from "./backend.js" */
/** @import { Facts } from "./decision.js" */
/** @import { Look, Maps } from "./network.js" */

const STEPS = 1e4; // of a value, as ophis/evidence.py rounds them

/**
 * Of each photo the map of the first guess, by the first network that gives any.
 *
 * @param {{looks: Look[]}[]} photos what the networks made of each.
 * @param {Pick<Answer, "guesses">} answer
 * @param {Facts} facts
 * @returns {(Evidence | null)[]} null where that network has none of it.
 */
export function evidenceOf(photos, answer, facts) {
  const telling = facts.members.findIndex((_, number) =>
    photos.some(({ looks }) => looks[number]?.maps),
  );
  return photos.map(({ looks }) => mapOf(looks[telling]?.maps, telling, answer, facts));
}

/**
 * @param {Maps | null | undefined} maps
 * @param {number} number of the network.
 * @param {Pick<Answer, "guesses">} answer
 * @param {Facts} facts
 * @returns {Evidence | null} from 0 to 1.
 */
function mapOf(maps, number, { guesses }, { species, members }) {
  const [first] = guesses;
  const member = members[number];
  if (!maps || !member || !first) return null;
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

// Evidence maps of an answer; JavaScript version of ophis/inference/evidence.py.

/** @import { Answer, Evidence } from "./backend.js" */
/** @import { Facts } from "./row_decision.js" */
/** @import { NetworkOutput, Maps } from "./network.js" */

const STEPS = 1e4; // rounding of values, as in ophis/inference/evidence.py

/**
 * Add the evidence maps to an answer, and to those of its photos where it has them.
 *
 * @param {{outputs: NetworkOutput[]}[]} photos outputs of the networks.
 * @param {Answer} answer
 * @param {Facts} facts
 */
export function addEvidence(photos, answer, facts) {
  answer.evidence = evidenceOf(photos, answer, facts);
  answer.each.forEach((alone, number) => {
    addEvidence(photos.slice(number, number + 1), alone, facts);
  });
}

/**
 * Map of the first guess for each photo, from the first network with evidence maps.
 *
 * @param {{outputs: NetworkOutput[]}[]} photos outputs of the networks.
 * @param {Pick<Answer, "guesses">} answer
 * @param {Facts} facts
 * @returns {(Evidence | null)[]} null if the network has no map of the species.
 */
function evidenceOf(photos, answer, facts) {
  const member = facts.members.findIndex((_, number) =>
    photos.some(({ outputs }) => outputs[number]?.maps),
  );
  return photos.map(({ outputs }) => mapOf(outputs[member]?.maps, member, answer, facts));
}

/**
 * @param {Maps | null | undefined} maps
 * @param {number} number index of the network.
 * @param {Pick<Answer, "guesses">} answer
 * @param {Facts} facts
 * @returns {Evidence | null} values in [0, 1].
 */
function mapOf(maps, number, { guesses }, { species, members }) {
  const [first] = guesses;
  const member = members[number];
  if (!maps || !member || !first) return null;
  const { rows, columns } = maps;
  const names = maps.species.map((column) => species[member.columns.indexOf(column)]?.name);
  const index = names.indexOf(first.species);
  if (index < 0) return null;
  const values = maps.values.subarray(index * rows * columns, (index + 1) * rows * columns);
  const most = values.reduce((a, b) => Math.max(a, b), 1e-12);
  const scaled = Array.from(values, (value) =>
    Math.fround(Math.round((Math.max(value, 0) / most) * STEPS) / STEPS),
  );
  return { species: first.species, rows, columns, values: scaled };
}

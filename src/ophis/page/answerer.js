/* Stands in for the two answerers, until they are there: it asks the server only. */

/**
 * An answer is what Python's `Answer.as_dict()` is.
 *
 * @typedef {{mode: "service"|"local", bundle: string, judged: boolean, species: number,
 *   languages: string[]}} Settings
 * @typedef {{photos: Blob[], country: string|null, gps: boolean, top: number, language: string,
 *   evidence: boolean}} Question
 * @typedef {{species: string, rows: number, columns: number, values: number[]}} Evidence
 * @typedef {{species: string, probability: number, danger: string}} Guess
 * @typedef {{
 *   photos: {name: string, sha256: string, left_out: string|null}[],
 *   failures: {photo_id: string, reason: string}[],
 *   state: string, name: string|null, verdict: string, judged: boolean,
 *   possible: string[], guesses: Guess[],
 *   country: string, countries: Record<string, number>, source: string|null, prior: string|null,
 *   contradicts: boolean, ruled: boolean, bundle: string, language: string, lines: string[],
 *   evidence?: (Evidence|null)[]
 * }} Answer
 * @typedef {{
 *   ask: (question: Question, options: {signal: AbortSignal}) => Promise<Answer>,
 *   warm: (progress?: (share: number) => void) => Promise<void>,
 *   kept: () => Promise<boolean>
 * }} Answerer
 */

export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} error
   * @param {string} emergency
   */
  constructor(status, error, emergency) {
    super(error);
    this.status = status;
    this.error = error;
    this.emergency = emergency;
  }
}

/**
 * @param {Settings} _settings
 * @returns {Promise<Answerer>}
 */
export async function openAnswerer(_settings) {
  return { ask, warm: async () => {}, kept: async () => false };
}

/**
 * @param {Question} question
 * @param {{signal: AbortSignal}} options
 * @returns {Promise<Answer>}
 */
async function ask(question, { signal }) {
  const form = new FormData();
  for (const photo of question.photos) form.append("photo", photo);
  if (question.country) form.append("country", question.country);
  for (const key of /** @type {const} */ (["gps", "top", "language", "evidence"])) {
    form.append(key, String(question[key]));
  }
  const reply = await fetch("identify", { method: "POST", body: form, signal });
  const said = await reply.json();
  if (!reply.ok) throw new Refusal(reply.status, said.error, said.emergency);
  return said;
}

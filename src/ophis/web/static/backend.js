// Who answers: a server, or the network in this browser. The answers are the same.

import { BackendError } from "./backend_error.js";

export { BackendError };

/**
 * What a person asks.
 *
 * @typedef {object} Question
 * @property {Blob[]} photos of one snake.
 * @property {string | null} country ISO 3166 alpha-2 code that the person chose.
 * @property {boolean} gps whether a photo's own position tells the country when none is chosen.
 * @property {number} top how many guesses, at least one.
 * @property {string} language of the lines.
 * @property {boolean} evidence whether to tell where in the photos the network looked.
 */

/**
 * Where in a photo the species of the first guess was seen.
 *
 * @typedef {object} Evidence
 * @property {string} species
 * @property {number} rows
 * @property {number} columns
 * @property {number[]} values row by row, from 0 to 1.
 */

/**
 * What is said of one snake: `Answer.as_dict()` of ophis/answer.py, where each field is told of.
 *
 * @typedef {object} Answer
 * @property {{name: string, sha256: string, left_out: string | null}[]} photos
 * @property {{photo_id: string, reason: string, code: string}[]} failures
 * @property {string} state
 * @property {string | null} name
 * @property {string} verdict
 * @property {boolean} judged
 * @property {string[]} possible
 * @property {{species: string, probability: number, danger: string}[]} guesses
 * @property {string} country
 * @property {Record<string, number>} countries
 * @property {string | null} source
 * @property {string | null} prior
 * @property {boolean} contradicts
 * @property {boolean} overridden
 * @property {string} bundle
 * @property {string} language
 * @property {string[]} lines
 * @property {(Evidence | null)[]} evidence
 */

/**
 * settings.json.
 *
 * @typedef {object} Settings
 * @property {"service" | "local"} mode
 * @property {string} bundle
 * @property {boolean} judged
 * @property {number} species
 * @property {string[]} languages
 */

/**
 * @typedef {object} Backend
 * @property {(question: Question, options?: {signal?: AbortSignal}) => Promise<Answer>} ask
 *   rejects with a `BackendError`, or with what the signal was aborted with.
 * @property {(progress?: (share: number) => void) => Promise<void>} warm makes the first answer
 *   come sooner; progress runs from 0 to 1. Rejects with a `BackendError`.
 * @property {() => Promise<boolean>} kept whether the page answers with the network switched off:
 *   waits until all of it is stored. False where that cannot be, as over plain http.
 */

/**
 * @param {Settings} settings
 * @returns {Promise<Backend>}
 */
export async function openBackend(settings) {
  if (settings.mode === "local") return (await import("./local_backend.js")).openLocal(settings);
  return (await import("./service_backend.js")).openService();
}

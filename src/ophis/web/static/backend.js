// Interface of the two backends: the service, and the network in this browser.

import { BackendError } from "./backend_error.js";

/** @import { Nearby, Position } from "./location_prior.js" */
/** @import { FormPlace } from "./near_section.js" */
/** @import { Species } from "./row_decision.js" */

export { BackendError };

/**
 * Request to identify one snake.
 *
 * @typedef {object} IdentifyRequest
 * @property {Blob[]} photos of one snake.
 * @property {string | null} country ISO 3166 alpha-2 code chosen by the person; null: none.
 * @property {Position | null} [at] position that the person gave or confirmed.
 * @property {boolean} gps take the country from a photo's position when none is chosen.
 * @property {number} top number of guesses, at least one.
 * @property {string} language of the sentences.
 * @property {boolean} evidence return evidence maps.
 */

/**
 * Evidence map of a photo for the species of the first guess.
 *
 * @typedef {object} Evidence
 * @property {string} species
 * @property {number} rows
 * @property {number} columns
 * @property {number[]} values row by row, in [0, 1].
 */

/**
 * Answer: `Answer.as_dict()` of ophis/inference/answer.py, which documents the fields.
 *
 * @typedef {object} Answer
 * @property {{name: string, sha256: string, left_out: string | null}[]} photos
 * @property {{photo_id: string, reason: string, code: string}[]} failures
 * @property {string} state
 * @property {string | null} name
 * @property {string} verdict
 * @property {boolean} evaluated
 * @property {string[]} possible
 * @property {{species: string, probability: number, danger: string, records: number | null,
 *   nearest_km: number | null}[]} guesses
 * @property {string} country
 * @property {Record<string, number>} countries
 * @property {string | null} source
 * @property {string | null} prior
 * @property {boolean} contradicts
 * @property {boolean} overridden
 * @property {number | null} place_records records within 100 km of the position.
 * @property {boolean} joined
 * @property {boolean} danger_guaranteed
 * @property {string} bundle
 * @property {string} language
 * @property {string[]} lines
 * @property {(Evidence | null)[]} evidence
 * @property {Answer[]} each
 */

/**
 * Content of settings.json.
 *
 * @typedef {object} Settings
 * @property {"service" | "local"} mode
 * @property {string} bundle
 * @property {boolean} evaluated
 * @property {number} species
 * @property {string[]} languages
 * @property {boolean} records true if the bundle has records of positions.
 */

/**
 * Records around a position, and p(s | place), by species of the bundle.
 *
 * @typedef {Nearby & {probability: Float64Array | null, species: Species[]}} Surroundings
 */

/**
 * @typedef {object} Backend
 * @property {(request: IdentifyRequest, options?: {signal?: AbortSignal}) => Promise<Answer>} identify
 *   rejects with a `BackendError`, or with the reason of the signal.
 * @property {(progress?: (fraction: number) => void) => Promise<void>} load loads the model before
 *   the first request; progress runs from 0 to 1. Rejects with a `BackendError`.
 * @property {() => Promise<boolean>} availableOffline resolves when the page is stored: true if it
 *   works offline, false where storage is impossible, as over plain http.
 * @property {(place: FormPlace) => Promise<Surroundings | null>} nearby resolves to the records around
 *   a position; null without a position or without records in this browser.
 */

/**
 * @param {Settings} settings
 * @returns {Promise<Backend>}
 */
export async function openBackend(settings) {
  if (settings.mode === "local") return (await import("./local_backend.js")).openLocal(settings);
  return (await import("./service_backend.js")).openService();
}

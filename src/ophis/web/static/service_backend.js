// Backend that sends photos to `ophis serve`.

import { BackendError } from "./backend_error.js";

/** @import { Answer, Backend, IdentifyRequest } from "./backend.js" */
/** @import { Position } from "./location_prior.js" */

/** @returns {Backend} */
export function openService() {
  return {
    identify,
    load: async () => {},
    availableOffline: async () => false,
    nearby: async () => null,
  };
}

/**
 * Reason code for an error response of a proxy in front of the service.
 *
 * @param {number} status
 */
function reasonOf(status) {
  if (status === 413) return "too_large";
  if (status === 408 || status === 504) return "too_slow";
  if (status === 429 || status === 503) return "busy";
  return status < 500 ? "wrong_input" : "broken";
}

/**
 * @param {IdentifyRequest} request
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<Answer>}
 */
async function identify(request, { signal } = {}) {
  const form = new FormData();
  for (const photo of request.photos) form.append("photo", photo);
  if (request.country) form.append("country", request.country);
  if (request.at) form.append("at", written(request.at));
  for (const name of /** @type {const} */ (["gps", "top", "language", "evidence"])) {
    form.append(name, String(request[name]));
  }
  const init = { method: "POST", body: form, ...(signal ? { signal } : {}) };
  const response = await fetch("identify", init);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    const { status } = response;
    const { reason, error, emergency } = answer;
    throw new BackendError(status, reason ?? reasonOf(status), error ?? "", emergency ?? "");
  }
  return answer;
}

/**
 * Position as the service reads it: degrees, and the accuracy in metres.
 *
 * @param {Position} position
 */
function written({ latitude, longitude, accuracy_km }) {
  const metres = Math.min(Math.ceil(1000 * accuracy_km), 100_000);
  return [latitude.toFixed(5), longitude.toFixed(5), metres].join(",");
}

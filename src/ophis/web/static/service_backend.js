// Questions that a server answers: `ophis serve`.

import { BackendError } from "./backend_error.js";

/** @import { Answer, Backend, Question } from "./backend.js" */

/** @returns {Backend} */
export function openService() {
  return { ask, warm: async () => {}, kept: async () => false };
}

/**
 * Why, when what stands before the service refuses in its place.
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
 * @param {Question} question
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<Answer>}
 */
async function ask(question, { signal } = {}) {
  const form = new FormData();
  for (const photo of question.photos) form.append("photo", photo);
  if (question.country) form.append("country", question.country);
  for (const name of /** @type {const} */ (["gps", "top", "language", "evidence"])) {
    form.append(name, String(question[name]));
  }
  const request = { method: "POST", body: form, ...(signal ? { signal } : {}) };
  const response = await fetch("identify", request);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    const { status } = response;
    const { reason, error, emergency } = answer;
    throw new BackendError(status, reason ?? reasonOf(status), error ?? "", emergency ?? "");
  }
  return answer;
}

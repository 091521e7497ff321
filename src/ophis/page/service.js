// Questions that a server answers: `ophis serve`.

import { Refusal } from "./refusal.js";

/** @import { Answer, Answerer, Question } from "./answerer.js" */

/** @returns {Answerer} */
export function openService() {
  return { ask, warm: async () => {}, kept: async () => false };
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
    throw new Refusal(response.status, answer.error ?? "", answer.emergency ?? "");
  }
  return answer;
}

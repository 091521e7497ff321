/** Why there is no answer, and what to do. */

import { button, icon, make } from "./elements.js";

/** @typedef {import("./words.js").Words} Words */

/**
 * @param {unknown} error
 * @returns {{status: number, sentence: string}} status 0: nobody was reached
 */
export function reasonOf(error) {
  if (error instanceof Error && "status" in error && "error" in error) {
    return { status: Number(error.status), sentence: String(error.error ?? "") };
  }
  return { status: error instanceof TypeError ? 0 : 500, sentence: "" };
}

/**
 * @param {number} status
 * @param {string} sentence
 * @param {boolean} here - whether the model runs in the browser
 * @returns {string|null} the key of what to do; null where the sentence says it already
 */
export function mend(status, sentence, here) {
  if (here && (status === 0 || status >= 500)) return sentence ? null : "broken";
  if (status === 0) return "refusal_network";
  if (status === 413) return "refusal_large";
  if (status === 429 || status === 503) return "refusal_busy";
  if (status === 422 && sentence.includes("country is called")) return "refusal_country";
  return status >= 400 && status < 500 ? "refusal_photo" : "refusal_other";
}

/**
 * @param {unknown} error
 * @param {Words} words
 * @param {boolean} here - whether the model runs in the browser
 * @param {{again: () => void, change: () => void}} acts
 * @returns {HTMLElement[]}
 */
export function refusalParts(error, words, here, acts) {
  const { status, sentence } = reasonOf(error);
  const heading = make("h2", { id: "verdict", tabindex: "-1" }, words.say("page", "refusal"));
  heading.prepend(icon(status || here ? "unusable" : "offline"));
  const box = make("div", { class: "verdict refusal" }, heading);
  if (sentence) box.append(make("p", {}, sentence));
  const key = mend(status, sentence, here);
  if (key) box.append(make("p", {}, words.say("page", key)));
  const photo = status >= 400 && status < 500 && status !== 429;
  const change = button(words.say("page", "change"), acts.change);
  const again = button(words.say("page", "again"), acts.again);
  return [box, make("div", { class: "buttons" }, ...(photo ? [change] : [again, change]))];
}

/** Why there is no answer, and what to do. */

import { BackendError } from "./backend.js";
import { button, icon, make } from "./elements.js";

/** @typedef {import("./sentences.js").Words} Words */

// What may be otherwise when it is asked again; all else a person has to change first.
const PASSING = [
  ...["too_slow", "busy", "starting", "stopping", "broken", "wrong_input", "not_found"],
  ...["unreachable", "model_missing", "model_damaged", "model_failed"],
];

/**
 * @param {unknown} error
 * @param {boolean} here - whether the model runs in the browser
 * @returns {{reason: string, detail: string}} the reason as `words` know it, and what is said of it
 *   in English
 */
export function reasonOf(error, here) {
  if (error instanceof BackendError) return { reason: error.reason, detail: error.error };
  const unreachable = here ? "model_missing" : "unreachable";
  return { reason: error instanceof TypeError ? unreachable : "broken", detail: "" };
}

/**
 * @param {unknown} error
 * @param {Words} words
 * @param {boolean} here - whether the model runs in the browser
 * @param {{again: () => void, change: () => void}} acts
 * @returns {HTMLElement[]}
 */
export function errorParts(error, words, here, acts) {
  const { reason, detail } = reasonOf(error, here);
  const heading = make("h2", { id: "verdict", tabindex: "-1" }, words.say("page", "no_answer"));
  heading.prepend(icon(reason === "unreachable" ? "offline" : "unusable"));
  const box = make("div", { class: "verdict error" }, heading);
  box.append(make("p", {}, ...told(reason, detail, words)));
  const change = button(words.say("page", "change"), acts.change);
  const again = button(words.say("page", "again"), acts.again);
  const buttons = PASSING.includes(reason) ? [again, change] : [change];
  if (reason === "no_webassembly") return [box];
  return [box, make("div", { class: "buttons" }, ...buttons)];
}

/**
 * A sentence in the person's language, and small what was said in English.
 *
 * @param {string} reason
 * @param {string} detail
 * @param {Words} words
 * @returns {(Node|string)[]}
 */
export function told(reason, detail, words) {
  const sentence = words.say("error", reason) || words.say("error", "broken");
  return detail ? [sentence, make("small", { class: "detail", lang: "en" }, detail)] : [sentence];
}

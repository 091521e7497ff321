/** View of an error: reason and next steps. */

import { BackendError } from "./backend.js";
import { button, icon, make } from "./elements.js";

/** @typedef {import("./sentences.js").Sentences} Sentences */

// Reasons for which a retry may succeed; others need a change of the request.
const RETRYABLE = [
  ...["too_slow", "busy", "starting", "stopping", "broken", "wrong_input", "not_found"],
  ...["unreachable", "model_missing", "model_damaged", "model_failed"],
];

// Reasons for which this browser cannot answer at all.
export const UNSUPPORTED = ["no_webassembly", "model_wrong"];

/**
 * @param {unknown} error
 * @param {boolean} local - true if the model runs in the browser
 * @returns {{reason: string, detail: string}} key in the section `error`, and
 *   the English message
 */
export function reasonOf(error, local) {
  if (error instanceof BackendError) return { reason: error.reason, detail: error.error };
  const unreachable = local ? "model_missing" : "unreachable";
  return { reason: error instanceof TypeError ? unreachable : "broken", detail: "" };
}

/**
 * @param {unknown} error
 * @param {Sentences} sentences
 * @param {boolean} local - true if the model runs in the browser
 * @param {{again: () => void, change: () => void}} acts
 * @returns {HTMLElement[]}
 */
export function errorParts(error, sentences, local, acts) {
  const { reason, detail } = reasonOf(error, local);
  const heading = make(
    "h2",
    { id: "verdict", tabindex: "-1" },
    icon(reason === "unreachable" ? "offline" : "unusable"),
    make("span", {}, sentences.text("page", "no_answer")),
  );
  const box = make("div", { class: "verdict error" }, heading);
  box.append(make("p", {}, ...errorDetail(reason, detail, sentences)));
  const change = button(sentences.text("page", "change"), acts.change);
  const again = button(sentences.text("page", "again"), acts.again);
  const buttons = RETRYABLE.includes(reason) ? [again, change] : [change];
  if (UNSUPPORTED.includes(reason)) return [box];
  return [box, make("div", { class: "buttons" }, ...buttons)];
}

/**
 * Sentence in the page's language, followed by the English message in small print.
 *
 * @param {string} reason
 * @param {string} detail
 * @param {Sentences} sentences
 * @returns {(Node|string)[]}
 */
export function errorDetail(reason, detail, sentences) {
  const sentence = sentences.text("error", reason) || sentences.text("error", "broken");
  return detail ? [sentence, make("small", { class: "detail", lang: "en" }, detail)] : [sentence];
}

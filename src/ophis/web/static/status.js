/** What goes on meanwhile: the network, the model on its way, what a screen reader is told. */

import { byId, icon } from "./elements.js";

/** @typedef {import("./sentences.js").Words} Words */

/** @param {string} sentence - to a screen reader */
export function announce(sentence) {
  byId("live").textContent = sentence;
}

/** @param {string} sentence - what is wrong with what was done last; empty when nothing is */
export function complain(sentence) {
  byId("problem").textContent = sentence;
}

/**
 * @param {Words} words
 * @param {string} mode
 */
export function tellNetwork(words, mode) {
  const note = byId("network");
  note.hidden = navigator.onLine;
  note.replaceChildren(icon("offline"), words.say("page", `offline_${mode}`));
}

/**
 * @param {Words} words
 * @param {number} share - of the model that is here
 */
export function tellProgress(words, share) {
  const sentence = words.say("page", "loading", { percent: words.percent(share) });
  byId("loading").hidden = byId("asking-progress").hidden = false;
  byId("loading-words").textContent = byId("asking-words").textContent = sentence;
  for (const id of ["progress", "asking-progress"]) {
    /** @type {HTMLProgressElement} */ (byId(id)).value = share;
  }
}

/** @param {Words} words */
export function endProgress(words) {
  byId("loading").hidden = byId("asking-progress").hidden = true;
  byId("asking-words").textContent = words.say("page", "asking");
}

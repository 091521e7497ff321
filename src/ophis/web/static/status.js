/** Status of the page: problems, network, progress, announcements. */

import { byId, icon } from "./elements.js";

/** @typedef {import("./sentences.js").Sentences} Sentences */

/** @param {string} sentence - for screen readers */
export function announce(sentence) {
  byId("live").textContent = sentence;
}

/** @param {string} sentence - problem of the last action; empty: none */
export function complain(sentence) {
  byId("problem").textContent = sentence;
}

/**
 * @param {Sentences} sentences
 * @param {string} mode
 */
export function showNetwork(sentences, mode) {
  const note = byId("network");
  note.hidden = navigator.onLine;
  note.replaceChildren(icon("offline"), sentences.text("page", `offline_${mode}`));
}

/**
 * @param {Sentences} sentences
 * @param {number} fraction - loaded fraction of the model
 */
export function showProgress(sentences, fraction) {
  const sentence = sentences.text("page", "loading", { percent: sentences.percent(fraction) });
  byId("loading").hidden = byId("identifying-progress").hidden = false;
  byId("loading-text").textContent = byId("identifying-text").textContent = sentence;
  for (const id of ["progress", "identifying-progress"]) {
    /** @type {HTMLProgressElement} */ (byId(id)).value = fraction;
  }
}

/** @param {Sentences} sentences */
export function endProgress(sentences) {
  byId("loading").hidden = byId("identifying-progress").hidden = true;
  byId("identifying-text").textContent = sentences.text("page", "identifying");
}

/** Buttons to confirm a country that was derived from a position. */

import { button, make } from "./elements.js";

/** @typedef {import("./sentences.js").Sentences} Sentences */

/**
 * @param {Record<string, number>} countries - weights by code, the largest first
 * @param {Sentences} sentences
 * @param {(code: string|null) => void} confirm - called with null for none of them
 * @param {"position"|"device"} origin - position of the photo, or of this device
 * @returns {HTMLElement}
 */
export function countryConfirmation(countries, sentences, confirm, origin = "position") {
  const codes = Object.keys(countries);
  const border = codes.length > 1;
  const sentence = sentences.text("page", `${origin}_${border ? "border" : "offer"}`, {
    countries: sentences.countryNames(countries),
  });
  const yes = codes.map((code) => {
    const country = sentences.country(code);
    return button(border ? country : sentences.text("page", "position_yes", { country }), () =>
      confirm(code.toUpperCase()),
    );
  });
  const no = button(sentences.text("page", border ? "country_unknown" : "position_no"), () =>
    confirm(null),
  );
  const buttons = make("div", { class: "pair" }, ...yes, no);
  return make("div", { class: "doubt offered" }, make("p", {}, sentence), buttons);
}

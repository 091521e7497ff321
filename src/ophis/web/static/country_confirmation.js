/** Countries that a position tells, for a person to confirm: nothing is taken from it by itself. */

import { button, make } from "./elements.js";

/** @typedef {import("./sentences.js").Words} Words */

/**
 * @param {Record<string, number>} countries - shares by code, the largest first
 * @param {Words} words
 * @param {(code: string|null) => void} confirm - null: none of them
 * @param {"position"|"here"} whose - position: that of the photo, or of this device
 * @returns {HTMLElement}
 */
export function countryConfirmation(countries, words, confirm, whose = "position") {
  const codes = Object.keys(countries);
  const border = codes.length > 1;
  const sentence = words.say("page", `${whose}_${border ? "border" : "offer"}`, {
    countries: words.placed(countries),
  });
  const yes = codes.map((code) => {
    const country = words.country(code);
    return button(border ? country : words.say("page", "position_yes", { country }), () =>
      confirm(code.toUpperCase()),
    );
  });
  const no = button(words.say("page", border ? "country_unknown" : "position_no"), () =>
    confirm(null),
  );
  const buttons = make("div", { class: "pair" }, ...yes, no);
  return make("div", { class: "doubt offered" }, make("p", {}, sentence), buttons);
}

/** Printed card: one page with the answer, and blanks to fill in by hand. */

import { bannerStyle, linesOf } from "./answer.js";
import { icon, make, withName } from "./elements.js";

/** @typedef {import("./backend.js").Answer} Answer */
/** @typedef {import("./sentences.js").Sentences} Sentences */

const MOST_NAMES = 8;
const BLANKS = ["card_person", "card_bite_time", "card_bite_place", "card_signs"];

/**
 * @param {Answer} answer
 * @param {import("./photo_list.js").Photo[]} photos
 * @param {Sentences} sentences
 * @param {Date} time
 * @returns {HTMLElement[]}
 */
export function cardParts(answer, photos, sentences, time) {
  const { warning, verdict, state } = linesOf(answer);
  const text = (/** @type {string} */ key) => sentences.text("page", key);
  const seen = bannerStyle(answer) === answer.state ? `${text(answer.state)}. ${verdict}` : verdict;
  const shown = photos[0];
  return [
    make("h1", {}, text("card")),
    make("p", { class: "card-warning" }, text("card_not_diagnosis")),
    ...(warning ? [make("p", { class: "card-warning" }, warning)] : []),
    make(
      "div",
      { class: "card-top" },
      ...(shown ? [make("img", { src: shown.url, alt: text("card_photo") })] : []),
      make(
        "div",
        {},
        make("h2", {}, icon("danger"), seen),
        make("p", {}, ...withName(state, answer.name)),
        facts(answer, sentences, time),
      ),
    ),
    ...names(answer, sentences),
    make("dl", { class: "blanks" }, ...BLANKS.flatMap((key) => blank(text(key)))),
    make("p", { class: "card-now" }, sentences.text("advice", "emergency")),
    make("p", { class: "card-small" }, text("about")),
  ];
}

/** @param {string} name */
function blank(name) {
  return [make("div", {}, make("dt", {}, name), make("dd", {}))];
}

/**
 * @param {Answer} answer
 * @param {Sentences} sentences
 * @param {Date} time
 */
function facts(answer, sentences, time) {
  const when = time.toLocaleString(sentences.language, { dateStyle: "long", timeStyle: "short" });
  const countries = sentences.countryNames(answer.countries) || sentences.text("place", "unknown");
  const lines = [
    answer.source
      ? sentences.text("place", answer.source, { countries })
      : sentences.text("prior", "no country"),
    sentences.text("page", "card_time", { time: when }),
    sentences.text("bundle", "version", { version: answer.bundle }),
  ];
  return make("div", {}, ...lines.map((line) => make("p", {}, line)));
}

/**
 * @param {Answer} answer
 * @param {Sentences} sentences
 */
function names(answer, sentences) {
  const key = answer.evaluated ? "possible" : "guesses";
  const guesses = answer.guesses.filter((each) => answer.possible.includes(each.species));
  if (!guesses.length) return [];
  const rows = guesses
    .slice(0, MOST_NAMES)
    .map((guess) =>
      make(
        "tr",
        {},
        make("td", {}, make("i", {}, guess.species)),
        make("td", {}, sentences.percent(guess.probability)),
        make("td", {}, sentences.text("danger", guess.danger)),
      ),
    );
  const further = answer.possible.length - Math.min(guesses.length, MOST_NAMES);
  const number = further.toLocaleString(sentences.language);
  return [
    make("h3", {}, sentences.text("list", key)),
    make("table", {}, make("tbody", {}, ...rows)),
    ...(further > 0 ? [make("p", {}, sentences.text("list", "further", { number }))] : []),
  ];
}

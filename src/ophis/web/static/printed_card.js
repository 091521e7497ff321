/** Printed card: one page with the answer, and blanks to fill in by hand. */

import { bannerStyle, linesOf } from "./assessment.js";
import { icon, make, withName } from "./elements.js";

/** @typedef {import("./backend.js").Answer} Answer */
/** @typedef {import("./assessment.js").Shown} Shown */
/** @typedef {import("./sentences.js").Sentences} Sentences */

const MOST_NAMES = 8;
const BLANKS = ["card_person", "card_bite_time", "card_bite_place", "card_signs"];

/**
 * @param {Answer} answer
 * @param {Shown[]} shown
 * @param {Sentences} sentences
 * @param {Date} time
 * @returns {HTMLElement[]}
 */
export function cardParts(answer, shown, sentences, time) {
  const { warning, state } = linesOf(answer);
  const text = (/** @type {string} */ key) => sentences.text("page", key);
  const read = shown.filter(({ index }) => index >= 0);
  const [first] = answer.each.length ? [] : read;
  return [
    make("h1", {}, text("card")),
    make("p", { class: "card-warning" }, text("card_not_diagnosis")),
    ...(warning ? [make("p", { class: "card-warning" }, warning)] : []),
    make(
      "div",
      { class: "card-top" },
      ...(first ? [make("img", { src: first.photo.url, alt: text("card_photo") })] : []),
      make(
        "div",
        {},
        make("h2", {}, icon("danger"), seen(answer, sentences)),
        make("p", {}, ...withName(state, answer.name)),
        facts(answer, sentences, time),
      ),
    ),
    ...names(answer, sentences, MOST_NAMES),
    ...alone(answer, read, sentences),
    make("dl", { class: "blanks" }, ...BLANKS.flatMap((key) => blank(text(key)))),
    make("p", { class: "card-now" }, sentences.text("advice", "emergency")),
    make("p", { class: "card-small" }, text("about")),
  ];
}

/**
 * The verdict; if no snake is named, after the state.
 *
 * @param {Answer} answer
 * @param {Sentences} sentences
 */
function seen(answer, sentences) {
  const { verdict } = linesOf(answer);
  const unnamed = bannerStyle(answer) === answer.state;
  return unnamed ? `${sentences.text("page", answer.state)}. ${verdict}` : verdict;
}

/**
 * Photos that do not fit one snake, each with its own answer.
 *
 * @param {Answer} answer
 * @param {Shown[]} read
 * @param {Sentences} sentences
 */
function alone(answer, read, sentences) {
  const most = Math.max(Math.floor(MOST_NAMES / 2 / Math.max(answer.each.length, 1)), 1);
  return answer.each.flatMap((one, place) => {
    const photo = read.find(({ index }) => index === place);
    if (!photo) return [];
    const title = sentences.text("page", "photo_number", { number: String(photo.number) });
    return make(
      "div",
      { class: "card-alone" },
      make("img", { src: photo.photo.url, alt: title }),
      make(
        "div",
        {},
        make("h3", {}, `${title}. ${seen(one, sentences)}`),
        make("p", {}, ...withName(linesOf(one).state, one.name)),
        ...names(one, sentences, most),
      ),
    );
  });
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
    sentences.text("bundle", "version", { version: answer.bundle.slice(0, 12) }),
  ];
  return make("div", {}, ...lines.map((line) => make("p", {}, line)));
}

/**
 * @param {Answer} answer
 * @param {Sentences} sentences
 * @param {number} most
 */
function names(answer, sentences, most) {
  const key = answer.evaluated ? "possible" : "guesses";
  const guesses = answer.guesses.filter((each) => answer.possible.includes(each.species));
  if (!guesses.length) return [];
  const rows = guesses
    .slice(0, most)
    .map((guess) =>
      make(
        "tr",
        {},
        make("td", {}, make("i", {}, guess.species)),
        make("td", {}, sentences.percent(guess.probability)),
        make("td", {}, sentences.text("danger", guess.danger)),
      ),
    );
  const further = answer.possible.length - Math.min(guesses.length, most);
  const number = further.toLocaleString(sentences.language);
  return [
    make("h3", {}, sentences.text("list", key)),
    make("table", {}, make("tbody", {}, ...rows)),
    ...(further > 0 ? [make("p", {}, sentences.text("list", "further", { number }))] : []),
  ];
}

/** The card that is printed: one page with the answer, and blanks to be filled in by hand. */

import { linesOf, look } from "./answer.js";
import { icon, make, withName } from "./elements.js";

/** @typedef {import("./backend.js").Answer} Answer */
/** @typedef {import("./sentences.js").Words} Words */

const MOST_NAMES = 8;
const BLANKS = ["card_person", "card_bite_time", "card_bite_place", "card_signs"];

/**
 * @param {Answer} answer
 * @param {import("./photo_list.js").Photo[]} photos
 * @param {Words} words
 * @param {Date} time
 * @returns {HTMLElement[]}
 */
export function cardParts(answer, photos, words, time) {
  const { warning, verdict, state } = linesOf(answer);
  const say = (/** @type {string} */ key) => words.say("page", key);
  const seen = look(answer) === answer.state ? `${say(answer.state)}. ${verdict}` : verdict;
  const shown = photos[0];
  return [
    make("h1", {}, say("card")),
    make("p", { class: "card-never" }, say("card_not_diagnosis")),
    ...(warning ? [make("p", { class: "card-never" }, warning)] : []),
    make(
      "div",
      { class: "card-top" },
      ...(shown ? [make("img", { src: shown.url, alt: say("card_photo") })] : []),
      make(
        "div",
        {},
        make("h2", {}, icon("danger"), seen),
        make("p", {}, ...withName(state, answer.name)),
        facts(answer, words, time),
      ),
    ),
    ...names(answer, words),
    make("dl", { class: "blanks" }, ...BLANKS.flatMap((key) => blank(say(key)))),
    make("p", { class: "card-now" }, words.say("advice", "emergency")),
    make("p", { class: "card-small" }, say("about")),
  ];
}

/** @param {string} name */
function blank(name) {
  return [make("div", {}, make("dt", {}, name), make("dd", {}))];
}

/**
 * @param {Answer} answer
 * @param {Words} words
 * @param {Date} time
 */
function facts(answer, words, time) {
  const when = time.toLocaleString(words.language, { dateStyle: "long", timeStyle: "short" });
  const countries = words.placed(answer.countries) || words.say("place", "unknown");
  const sentences = [
    answer.source
      ? words.say("place", answer.source, { countries })
      : words.say("prior", "no country"),
    words.say("page", "card_time", { time: when }),
    words.say("bundle", "version", { version: answer.bundle }),
  ];
  return make("div", {}, ...sentences.map((sentence) => make("p", {}, sentence)));
}

/**
 * @param {Answer} answer
 * @param {Words} words
 */
function names(answer, words) {
  const key = answer.judged ? "possible" : "guesses";
  const guesses = answer.guesses.filter((each) => answer.possible.includes(each.species));
  if (!guesses.length) return [];
  const rows = guesses
    .slice(0, MOST_NAMES)
    .map((guess) =>
      make(
        "tr",
        {},
        make("td", {}, make("i", {}, guess.species)),
        make("td", {}, words.percent(guess.probability)),
        make("td", {}, words.say("danger", guess.danger)),
      ),
    );
  const further = answer.possible.length - Math.min(guesses.length, MOST_NAMES);
  const number = further.toLocaleString(words.language);
  return [
    make("h3", {}, words.say("list", key)),
    make("table", {}, make("tbody", {}, ...rows)),
    ...(further > 0 ? [make("p", {}, words.say("list", "further", { number }))] : []),
  ];
}

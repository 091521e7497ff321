/** An answer as people read it: the danger first, then what it may be, then what it rests on. */

import { countryConfirmation } from "./country_confirmation.js";
import { button, icon, make, withName } from "./elements.js";
import { told } from "./error_view.js";
import { overlaySwitch, photoFigure } from "./overlay.js";

/** @typedef {import("./backend.js").Answer} Answer */
/** @typedef {Answer["guesses"][number]} Guess */
/** @typedef {{photo: import("./photo_list.js").Photo, place: number}} Shown - place in the answer, or -1 */
/** @typedef {import("./sentences.js").Words} Words */
/** @typedef {{change: () => void, print: () => void, another: () => void,
 *   confirm: (code: string|null) => void}} Acts */

const MOST_OTHERS = 3; // of the less likely: a long list would hide what cannot be excluded

const ICONS = /** @type {Record<string, string>} */ ({
  "no snake": "unseen",
  unusable: "unusable",
  "may be venomous": "danger",
  "not known to be dangerous": "listed",
  venomous: "danger",
  "treat as venomous": "question",
});

/**
 * @param {Answer} answer
 * @returns {{warning: string|null, verdict: string, state: string, reasons: string[]}} its lines by
 *   what they say; the last, on what to do, is on the screen already
 */
export function linesOf(answer) {
  const lines = [...answer.lines];
  const warning = answer.judged ? null : (lines.shift() ?? "");
  const [verdict = "", state = "", ...rest] = lines;
  return { warning, verdict, state, reasons: rest.slice(0, -1) };
}

/**
 * @param {Answer} answer
 * @param {Shown[]} shown
 * @param {Words} words
 * @param {Acts} acts
 * @returns {HTMLElement[]}
 */
export function answerParts(answer, shown, words, acts) {
  const parts = [
    ...warning(answer),
    banner(answer, words),
    named(answer, words),
    ...doubts(answer, words, acts),
    ...lists(answer, words),
    ...pictures(answer, shown, words),
    reasons(answer, words),
  ];
  const buttons = make(
    "div",
    { class: "buttons" },
    button(words.say("page", "print"), acts.print, { drawing: "print" }),
    button(words.say("page", "change"), acts.change),
    button(words.say("page", "another"), acts.another),
  );
  return [...parts, buttons];
}

/** @param {Answer} answer */
function warning(answer) {
  const sentence = linesOf(answer).warning;
  return sentence === null ? [] : [make("p", { class: "never" }, icon("danger"), sentence)];
}

/**
 * @param {Answer} answer
 * @returns {string} what the page looks like: one look for each state in which no snake is named
 */
export function look(answer) {
  if (answer.state === "no snake" || answer.state === "unusable") return answer.state;
  return answer.verdict;
}

/**
 * The danger, large. Where no snake is seen, that comes in its place, and the danger below.
 *
 * @param {Answer} answer
 * @param {Words} words
 */
function banner(answer, words) {
  const kind = look(answer);
  const said = linesOf(answer).verdict;
  const unseen = kind === answer.state;
  const text = unseen ? words.say("page", kind) : said;
  const heading = make(
    "h2",
    { id: "verdict", tabindex: "-1" },
    icon(ICONS[kind] ?? "danger"),
    text,
  );
  const box = make("div", { class: `verdict ${kind.replaceAll(" ", "-")}` }, heading);
  if (unseen) box.append(make("p", {}, said));
  return box;
}

/**
 * @param {Answer} answer
 * @param {Words} words
 */
function named(answer, words) {
  const sentence = linesOf(answer).state;
  const box = make("div", { class: `named ${answer.state.replaceAll(" ", "-")}` });
  if (answer.state === "unidentified") box.append(icon("question"));
  box.append(make("p", { class: "state" }, ...withName(sentence, answer.name)));
  if (answer.state === "no snake" || answer.state === "unusable") {
    box.append(make("p", {}, words.say("page", "take_another")));
  }
  return box;
}

/**
 * What the person is asked: whether the country that the photo tells is right, or the one given.
 *
 * @param {Answer} answer
 * @param {Words} words
 * @param {Acts} acts
 */
function doubts(answer, words, acts) {
  const parts = [];
  if (answer.contradicts) {
    parts.push(
      make(
        "div",
        { class: "doubt" },
        make("p", {}, icon("question"), words.say("country", "contradicts")),
        button(words.say("page", "change"), acts.change),
      ),
    );
  }
  if (answer.source === "position" || answer.source === "near a border") {
    parts.push(countryConfirmation(answer.countries, words, acts.confirm));
  }
  return parts;
}

/**
 * @param {Answer} answer
 * @param {Words} words
 */
function lists(answer, words) {
  if (!answer.guesses.length) return [];
  const left = answer.guesses.filter((guess) => answer.possible.includes(guess.species));
  const others = answer.guesses
    .filter((guess) => !answer.possible.includes(guess.species))
    .slice(0, MOST_OTHERS);
  const box = make("div", { class: "names" });
  if (!answer.judged) {
    box.append(...list(words.say("list", "guesses"), answer.guesses, words, "guesses"));
    return [box];
  }
  if (left.length) box.append(...list(words.say("list", "possible"), left, words, "possible"));
  const further = answer.possible.length - left.length;
  if (further > 0) {
    const number = further.toLocaleString(words.language);
    box.append(make("p", { class: "hint" }, words.say("list", "further", { number })));
  }
  if (others.length) box.append(...list(words.say("list", "others"), others, words, "others"));
  return [box];
}

/**
 * @param {string} title
 * @param {Guess[]} guesses
 * @param {Words} words
 * @param {string} kind
 */
function list(title, guesses, words, kind) {
  return [
    make("h3", {}, title),
    make("ul", { class: `guesses ${kind}` }, ...guesses.map((guess) => row(guess, words, kind))),
  ];
}

/** @param {number} share - in [0, 1] */
function bar(share) {
  const filled = make("span", { class: "filled" });
  filled.style.width = `${100 * share}%`;
  return make("span", { class: "bar", "aria-hidden": "true" }, filled);
}

/**
 * @param {Guess} guess
 * @param {Words} words
 * @param {string} kind - of the list
 */
function row(guess, words, kind) {
  const danger = make(
    "span",
    { class: `danger ${guess.danger.replaceAll(" ", "-")}` },
    icon(ICONS[guess.danger] ?? "question"),
    words.say("danger", guess.danger),
  );
  return make(
    "li",
    {},
    make("span", { class: "latin", lang: "la", translate: "no" }, guess.species),
    make("span", { class: "percent" }, words.percent(guess.probability)),
    ...(kind === "guesses" ? [] : [bar(guess.probability)]), // of no worth: without bars
    danger,
  );
}

/**
 * @param {Answer} answer
 * @param {Shown[]} shown
 * @param {Words} words
 */
function pictures(answer, shown, words) {
  const figures = shown.map(({ photo, place }, order) => {
    const number = String(order + 1);
    const figure = photoFigure(photo, number, answer.evidence?.[place], words);
    const why = place < 0 ? "unread" : answer.photos[place]?.left_out;
    if (why) {
      const reason = words.say("photo", "left_out", { name: number, why: words.say("why", why) });
      figure.append(make("figcaption", {}, reason));
    }
    return figure;
  });
  const box = make("div", { class: "photos" }, ...figures);
  const grids = shown.map(({ place }) => answer.evidence?.[place]);
  const grid = grids.find((each) => each && Math.max(...each.values) > 0);
  return [make("div", { class: "seen" }, box, ...(grid ? [overlaySwitch(box, grid, words)] : []))];
}

/**
 * The sentences that are said elsewhere on the screen already.
 *
 * @param {Answer} answer
 * @param {Words} words
 * @returns {string[]}
 */
function saidElsewhere(answer, words) {
  const captions = answer.photos.map(({ name, left_out: why }) =>
    words.say("photo", "left_out", { name, why: words.say("why", why ?? "") }),
  );
  return [words.say("country", "contradicts"), ...captions];
}

/**
 * @param {Answer} answer
 * @param {Words} words
 */
function reasons(answer, words) {
  const elsewhere = saidElsewhere(answer, words);
  const lines = linesOf(answer).reasons.filter((line) => !elsewhere.includes(line));
  const box = make("div", { class: "reasons" });
  if (lines.length) {
    box.append(
      make("h3", {}, words.say("page", "reasons")),
      make("ul", {}, ...lines.map((line) => make("li", {}, line))),
    );
  }
  if (answer.failures.length) {
    const failures = answer.failures.map((failure) => unread(failure, words));
    box.append(make("h3", {}, words.say("page", "failures")), make("ul", {}, ...failures));
  }
  box.append(
    make("p", { class: "hint" }, words.say("bundle", "version", { version: answer.bundle })),
  );
  return box;
}

/**
 * @param {Answer["failures"][number]} failure
 * @param {Words} words
 */
function unread({ photo_id: name, reason, code }, words) {
  const number = name.match(/\d+$/)?.[0] ?? "1";
  const photo = make("b", {}, words.say("page", "photo_number", { number }));
  return make("li", {}, photo, ...told(code, reason, words));
}

/** View of what is known of one snake: danger verdict, name, lists of species, photos. */

import { icon, make, withName } from "./elements.js";
import { overlaySwitch, photoFigure } from "./overlay.js";

/** @typedef {import("./backend.js").Answer} Answer */
/** @typedef {Answer["guesses"][number]} Guess */
/** @typedef {{photo: import("./photo_list.js").Photo, index: number, number: number}} Shown - index
 *   in the answer, or -1; number from 1 among the chosen photos */
/** @typedef {import("./sentences.js").Sentences} Sentences */

const MOST_OTHERS = 3; // less likely species; a long list would hide those that cannot be excluded

const ICONS = /** @type {Record<string, string>} */ ({
  "no snake": "no-snake",
  unusable: "unusable",
  "may be venomous": "danger",
  "not known to be dangerous": "listed",
  venomous: "danger",
  "treat as venomous": "question",
});

/**
 * @param {Answer} answer
 * @returns {{warning: string|null, verdict: string, state: string, reasons: string[]}} the lines by
 *   kind, without the last one, the emergency advice, which is always on the screen
 */
export function linesOf(answer) {
  const lines = [...answer.lines];
  const warning = answer.evaluated ? null : (lines.shift() ?? "");
  const [verdict = "", state = "", ...rest] = lines;
  return { warning, verdict, state, reasons: rest.slice(0, -1) };
}

/**
 * @param {Answer} answer
 * @returns {string} style of the banner: the state if no snake is named, else the verdict
 */
export function bannerStyle(answer) {
  if (answer.state === "no snake" || answer.state === "unusable") return answer.state;
  return answer.verdict;
}

/**
 * The verdict as heading. If no snake is named, the state is the heading, with the verdict below.
 *
 * @param {Answer} answer
 * @param {Sentences} sentences
 * @param {"h2" | "h4"} tag - h4: of one of several photos, below the heading of all
 */
export function banner(answer, sentences, tag = "h2") {
  const kind = bannerStyle(answer);
  const { verdict } = linesOf(answer);
  const unnamed = kind === answer.state;
  const text = unnamed ? sentences.text("page", kind) : verdict;
  const focus = tag === "h2" ? { id: "verdict", tabindex: "-1" } : {};
  const heading = make(tag, focus, icon(ICONS[kind] ?? "danger"), make("span", {}, text));
  const box = make("div", { class: `verdict ${kind.replaceAll(" ", "-")}` }, heading);
  if (unnamed) box.append(make("p", {}, verdict));
  return box;
}

/**
 * @param {Answer} answer
 * @param {Sentences} sentences
 */
export function nameBox(answer, sentences) {
  const sentence = linesOf(answer).state;
  const box = make("div", { class: `named ${answer.state.replaceAll(" ", "-")}` });
  if (answer.state === "unidentified") box.append(icon("question"));
  box.append(make("p", { class: "state" }, ...withName(sentence, answer.name)));
  if (answer.state === "no snake" || answer.state === "unusable") {
    box.append(make("p", {}, sentences.text("page", "take_another")));
  }
  return box;
}

/**
 * @param {Answer} answer
 * @param {Sentences} sentences
 */
export function lists(answer, sentences) {
  if (!answer.guesses.length) return [];
  const possible = answer.guesses.filter((guess) => answer.possible.includes(guess.species));
  const others = answer.guesses
    .filter((guess) => !answer.possible.includes(guess.species))
    .slice(0, MOST_OTHERS);
  const box = make("div", { class: "names" });
  if (!answer.evaluated) {
    box.append(...list(answer, answer.guesses, sentences, "guesses"));
    return [box];
  }
  if (possible.length) box.append(...list(answer, possible, sentences, "possible"));
  const further = answer.possible.length - possible.length;
  if (further > 0) {
    const number = further.toLocaleString(sentences.language);
    box.append(make("p", { class: "hint" }, sentences.text("list", "further", { number })));
  }
  if (others.length) box.append(...list(answer, others, sentences, "others"));
  return [box];
}

/**
 * @param {Answer} answer
 * @param {Guess[]} guesses
 * @param {Sentences} sentences
 * @param {string} kind
 */
function list(answer, guesses, sentences, kind) {
  const located = answer.place_records !== null;
  const rows = guesses.map((guess) => row(guess, sentences, kind, located));
  return [
    make("h3", {}, sentences.text("list", kind)),
    make("ul", { class: `guesses ${kind}` }, ...rows),
  ];
}

/** @param {number} fraction - in [0, 1] */
function bar(fraction) {
  const filled = make("span", { class: "filled" });
  filled.style.width = `${100 * fraction}%`;
  return make("span", { class: "bar", "aria-hidden": "true" }, filled);
}

/**
 * @param {Guess} guess
 * @param {Sentences} sentences
 * @param {string} kind - of the list
 * @param {boolean} located - the answer has records around a position
 */
function row(guess, sentences, kind, located) {
  return speciesItem(
    guess.species,
    sentences.percent(guess.probability),
    ...(kind === "guesses" ? [] : [bar(guess.probability)]), // unevaluated guesses have no bars
    dangerTag(guess.danger, sentences.text("danger", guess.danger)),
    ...(located ? [recordsLine(guess, sentences)] : []),
  );
}

/**
 * @param {string} species
 * @param {string} percent
 * @param {Element[]} parts
 */
export function speciesItem(species, percent, ...parts) {
  return make(
    "li",
    {},
    make("span", { class: "latin", lang: "la", translate: "no" }, species),
    make("span", { class: "percent" }, percent),
    ...parts,
  );
}

/**
 * @param {string} danger
 * @param {string} text
 */
export function dangerTag(danger, text) {
  const style = { class: `danger ${danger.replaceAll(" ", "-")}` };
  return make("span", style, icon(ICONS[danger] ?? "question"), text);
}

/**
 * Records of a species around a position.
 *
 * @param {Pick<Guess, "records" | "nearest_km">} found
 * @param {Sentences} sentences
 */
export function recordsLine({ records, nearest_km }, sentences) {
  const number = (records ?? 0).toLocaleString(sentences.language);
  const km = (nearest_km ?? 0).toLocaleString(sentences.language);
  let key = records === 1 ? "one" : "near";
  if (records === 0) key = "far";
  if (nearest_km === null) key = records === null ? "no_records" : "none";
  return make("span", { class: "recorded" }, sentences.text("records", key, { number, km }));
}

/**
 * @param {Answer} answer
 * @param {Shown[]} shown
 * @param {Sentences} sentences
 */
export function photoFigures(answer, shown, sentences) {
  const figures = shown.map(({ photo, index, number: order }) => {
    const number = String(order);
    const figure = photoFigure(photo, number, answer.evidence?.[index], sentences);
    const why = index < 0 ? "unread" : answer.photos[index]?.left_out;
    if (why) {
      const reason = sentences.text("photo", "left_out", {
        name: number,
        why: sentences.text("why", why),
      });
      figure.append(make("figcaption", {}, reason));
    }
    return figure;
  });
  const box = make("div", { class: "photos" }, ...figures);
  const grids = shown.map(({ index }) => answer.evidence?.[index]);
  const grid = grids.find((each) => each && Math.max(...each.values) > 0);
  return [
    make(
      "div",
      { class: "evidence-photos" },
      box,
      ...(grid ? [overlaySwitch(box, grid, sentences)] : []),
    ),
  ];
}

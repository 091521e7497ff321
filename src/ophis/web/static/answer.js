/** View of an answer: assessment of the snake, confirmations, reasons. */

import { banner, linesOf, lists, nameBox, photoFigures } from "./assessment.js";
import { countryConfirmation } from "./country_confirmation.js";
import { button, icon, make } from "./elements.js";
import { errorDetail } from "./error_view.js";

/** @typedef {import("./backend.js").Answer} Answer */
/** @typedef {import("./assessment.js").Shown} Shown */
/** @typedef {import("./sentences.js").Sentences} Sentences */
/** @typedef {{change: () => void, print: () => void, another: () => void,
 *   confirm: (code: string|null) => void}} Acts */

/**
 * @param {Answer} answer
 * @param {Shown[]} shown
 * @param {Sentences} sentences
 * @param {Acts} acts
 * @returns {HTMLElement[]}
 */
export function answerParts(answer, shown, sentences, acts) {
  const parts = [
    ...warning(answer),
    banner(answer, sentences),
    nameBox(answer, sentences),
    ...confirmations(answer, sentences, acts),
    ...snakes(answer, shown, sentences),
    reasons(answer, sentences),
  ];
  const buttons = make(
    "div",
    { class: "buttons" },
    button(sentences.text("page", "print"), acts.print, { symbol: "print" }),
    button(sentences.text("page", "change"), acts.change),
    button(sentences.text("page", "another"), acts.another),
  );
  return [...parts, buttons];
}

/**
 * List and photos of the snake; if the photos do not fit one, each photo with its own answer.
 *
 * @param {Answer} answer
 * @param {Shown[]} shown
 * @param {Sentences} sentences
 */
function snakes(answer, shown, sentences) {
  if (!answer.each.length) {
    return [...lists(answer, sentences), ...photoFigures(answer, shown, sentences)];
  }
  return shown.map((one) => {
    const title = sentences.text("page", "photo_number", { number: String(one.number) });
    const box = make("section", { class: "alone" }, make("h3", {}, title));
    const alone = answer.each[one.index];
    if (!alone) box.append(...photoFigures(answer, [one], sentences));
    else {
      box.append(
        ...photoFigures(alone, [{ ...one, index: 0 }], sentences),
        banner(alone, sentences, "h4"),
        nameBox(alone, sentences),
        ...lists(alone, sentences),
      );
    }
    return box;
  });
}

/** @param {Answer} answer */
function warning(answer) {
  const sentence = linesOf(answer).warning;
  return sentence === null ? [] : [make("p", { class: "not-evaluated" }, icon("danger"), sentence)];
}

/**
 * Requests for confirmation of the country: a contradiction, or a country from the photo's position.
 *
 * @param {Answer} answer
 * @param {Sentences} sentences
 * @param {Acts} acts
 */
function confirmations(answer, sentences, acts) {
  const parts = [];
  if (answer.contradicts) {
    parts.push(
      make(
        "div",
        { class: "doubt" },
        make("p", {}, icon("question"), sentences.text("country", "contradicts")),
        button(sentences.text("page", "change"), acts.change),
      ),
    );
  }
  if (answer.source === "position" || answer.source === "near a border") {
    parts.push(countryConfirmation(answer.countries, sentences, acts.confirm));
  }
  return parts;
}

/**
 * Lines that the screen shows elsewhere.
 *
 * @param {Answer} answer
 * @param {Sentences} sentences
 * @returns {string[]}
 */
function shownElsewhere(answer, sentences) {
  const captions = answer.photos.map(({ name, left_out: why }) =>
    sentences.text("photo", "left_out", { name, why: sentences.text("why", why ?? "") }),
  );
  return [sentences.text("country", "contradicts"), ...captions];
}

/**
 * @param {Answer} answer
 * @param {Sentences} sentences
 */
function reasons(answer, sentences) {
  const elsewhere = shownElsewhere(answer, sentences);
  const lines = linesOf(answer).reasons.filter((line) => !elsewhere.includes(line));
  const box = make("div", { class: "reasons" });
  if (lines.length) {
    box.append(
      make("h3", {}, sentences.text("page", "reasons")),
      make("ul", {}, ...lines.map((line) => make("li", {}, line))),
    );
  }
  if (answer.failures.length) {
    const failures = answer.failures.map((failure) => failureItem(failure, sentences));
    box.append(make("h3", {}, sentences.text("page", "failures")), make("ul", {}, ...failures));
  }
  box.append(
    make(
      "p",
      { class: "hint" },
      sentences.text("bundle", "version", { version: answer.bundle.slice(0, 12) }),
    ),
  );
  return box;
}

/**
 * @param {Answer["failures"][number]} failure
 * @param {Sentences} sentences
 */
function failureItem({ photo_id: name, reason, code }, sentences) {
  const number = name.match(/\d+$/)?.[0] ?? "1";
  const photo = make("b", {}, sentences.text("page", "photo_number", { number }));
  return make("li", {}, photo, ...errorDetail(code, reason, sentences));
}

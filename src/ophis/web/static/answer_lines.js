// Sentences of an answer; JavaScript version of ophis/inference/answer_lines.py.

import { even } from "./probabilities.js";

/** @import { Decision } from "./row_decision.js" */
/** @import { Country, Effect, Place } from "./prior.js" */

/**
 * Content of sentences/LANGUAGE.json: sections of sentences, and country names by ISO code.
 *
 * @typedef {{language: string, countries: Record<string, string>} &
 *   Record<string, Record<string, string>>} Sections
 */

/**
 * Sentence with its placeholders filled in; the key is a value of a Python enum.
 *
 * @param {Sections} sections
 * @param {string} section
 * @param {string} key
 * @param {Record<string, string>} [filled]
 */
export function sentence(sections, section, key, filled = {}) {
  const template = sections[section]?.[key.replaceAll(" ", "_")];
  if (template === undefined) throw new Error(`no sentence for ${section}.${key}`);
  return template.replace(/\{(\w+)\}/g, (placeholder, name) => filled[name] ?? placeholder);
}

/**
 * Lines of an answer; without a named snake there is no line about the country.
 *
 * @param {Sections} sections
 * @param {Decision} decision
 * @param {Place} place
 * @param {object} more
 * @param {Effect} more.effect
 * @param {{name: string, left_out: string | null}[]} more.photos
 * @param {boolean} more.evaluated
 * @param {boolean} more.danger_guaranteed
 * @param {Record<string, Country>} more.countries by key.
 */
export function answerLines(sections, decision, place, more) {
  const { effect, photos, evaluated, danger_guaranteed, countries } = more;
  const why = photos[0] ? photos[0].left_out : "unread";
  const filled = { name: decision.name ?? "", why: why ? sentence(sections, "why", why) : "" };
  const lines = evaluated ? [] : [sentence(sections, "bundle", "not_evaluated")];
  lines.push(sentence(sections, "verdict", decision.verdict));
  lines.push(
    decision.contradicting
      ? sentence(sections, "photo", "contradicting")
      : sentence(sections, "state", decision.state, filled),
  );
  if (decision.state !== "no snake" && decision.state !== "unusable") {
    if (evaluated && !danger_guaranteed) lines.push(sentence(sections, "bundle", "few_dangerous"));
    if (place.source) {
      const named = countriesOf(place, sections, countries);
      lines.push(sentence(sections, "place", place.source, { countries: named }));
    }
    lines.push(sentence(sections, "prior", effect.use));
    if (typeof effect.records === "number") {
      const number = effect.records.toLocaleString("en-US");
      lines.push(sentence(sections, "records", "total", { number }));
    }
    if (decision.joined) lines.push(sentence(sections, "country", "joined"));
    if (effect.overridden) lines.push(sentence(sections, "country", "overridden"));
    if (effect.contradicts) lines.push(sentence(sections, "country", "contradicts"));
    for (const { name, left_out: reason } of photos) {
      if (!reason) continue;
      lines.push(
        sentence(sections, "photo", "left_out", { name, why: sentence(sections, "why", reason) }),
      );
    }
  }
  return [...lines, sentence(sections, "advice", "emergency")];
}

/**
 * Names of the countries; several with their weights.
 *
 * @param {Place} place
 * @param {Sections} sections
 * @param {Record<string, Country>} countries
 */
function countriesOf(place, sections, countries) {
  const named = new Map(
    place.weights.map(([key, weight]) => [nameOf(key, sections, countries), weight]),
  );
  const parts = [...named].map(([name, weight]) =>
    named.size > 1 ? `${name} ${percent(weight)}` : name,
  );
  return parts.join(", ");
}

/**
 * @param {string} key
 * @param {Sections} sections
 * @param {Record<string, Country>} countries
 */
function nameOf(key, sections, countries) {
  const code = countries[key]?.code;
  return (code && sections.countries[code]) || sentence(sections, "place", "unknown");
}

/**
 * Weight in whole per cent, halves to even, like Python.
 *
 * @param {number} weight
 */
function percent(weight) {
  return `${even(100 * weight)}%`;
}

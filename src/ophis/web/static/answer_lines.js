// An answer in sentences: what ophis/answer.py says, from the same words.

/** @import { Decision } from "./decision.js" */
/** @import { Country, Effect, Place } from "./prior.js" */

/**
 * words/LANG.json: sections of sentences, and what each country is called, by ISO code.
 *
 * @typedef {{language: string, countries: Record<string, string>} &
 *   Record<string, Record<string, string>>} Words
 */

/**
 * One sentence with its places filled in; the key as Python's enums spell it.
 *
 * @param {Words} words
 * @param {string} section
 * @param {string} key
 * @param {Record<string, string>} [filled]
 */
export function say(words, section, key, filled = {}) {
  const sentence = words[section]?.[key.replaceAll(" ", "_")];
  if (sentence === undefined) throw new Error(`no words for ${section}.${key}`);
  return sentence.replace(/\{(\w+)\}/g, (place, name) => filled[name] ?? place);
}

/**
 * The answer in sentences; one that names no snake does not speak of the country.
 *
 * @param {Words} words
 * @param {Decision} decision
 * @param {Place} place
 * @param {object} more
 * @param {Effect} more.effect
 * @param {{name: string, left_out: string | null}[]} more.photos
 * @param {boolean} more.judged
 * @param {Record<string, Country>} more.countries by key.
 */
export function sentences(words, decision, place, { effect, photos, judged, countries }) {
  const why = photos[0] ? photos[0].left_out : "unread";
  const filled = { name: decision.name ?? "", why: why ? say(words, "why", why) : "" };
  const lines = judged ? [] : [say(words, "bundle", "never_judged")];
  lines.push(say(words, "verdict", decision.verdict));
  lines.push(say(words, "state", decision.state, filled));
  if (decision.state !== "no snake" && decision.state !== "unusable") {
    if (place.source) {
      const named = countriesOf(place, words, countries);
      lines.push(say(words, "place", place.source, { countries: named }));
    }
    lines.push(say(words, "prior", effect.use));
    if (effect.overridden) lines.push(say(words, "country", "overridden"));
    if (effect.contradicts) lines.push(say(words, "country", "contradicts"));
    for (const { name, left_out: reason } of photos) {
      if (!reason) continue;
      lines.push(say(words, "photo", "left_out", { name, why: say(words, "why", reason) }));
    }
  }
  return [...lines, say(words, "advice", "emergency")];
}

/**
 * Countries as people read them, several with their shares.
 *
 * @param {Place} place
 * @param {Words} words
 * @param {Record<string, Country>} countries
 */
function countriesOf(place, words, countries) {
  const named = new Map(place.shares.map(([key, share]) => [nameOf(key, words, countries), share]));
  const parts = [...named].map(([name, share]) =>
    named.size > 1 ? `${name} ${percent(share)}` : name,
  );
  return parts.join(", ");
}

/**
 * @param {string} key
 * @param {Words} words
 * @param {Record<string, Country>} countries
 */
function nameOf(key, words, countries) {
  const code = countries[key]?.code;
  return (code && words.countries[code]) || say(words, "place", "unknown");
}

/**
 * A share as whole per cent, halves to the even number, as Python rounds.
 *
 * @param {number} share
 */
function percent(share) {
  const value = share * 100;
  const low = Math.floor(value);
  const up = value - low > 0.5 || (value - low === 0.5 && low % 2 === 1);
  return `${low + (up ? 1 : 0)}%`;
}

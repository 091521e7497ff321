/** Search of countries by name, in any language. */

import { namesOfForm } from "./country_forms.js";

/** @typedef {import("./country_forms.js").CountryForms} CountryForms */

/** @typedef {{code: string, name: string, also: string}} Found */

/**
 * @param {string} text
 * @returns {string} the text in lower case, without accents and punctuation
 */
export function folded(text) {
  return text
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/[\s\-\u2010-\u2015'\u2018\u2019.,()&]+/g, " ")
    .trim();
}

/**
 * @param {string} text - the search text
 * @param {Record<string, string>} names - the page's name of each country, by code
 * @param {Record<string, string[]>} others - further names and codes of each country
 * @returns {Found[]} best match first; `also` is the matching further name, if the page's name does not match
 */
export function searchCountries(text, names, others) {
  const wanted = folded(text);
  const byName = new Intl.Collator(undefined, { sensitivity: "base" });
  /** @type {(Found & {rank: number})[]} */
  const found = [];
  for (const [code, name] of Object.entries(names)) {
    const own = Math.min(rank(wanted, name), wanted === folded(code) ? 0 : 9);
    const also = own > 2 ? bestOf(wanted, others[code] ?? []) : { rank: 9, name: "" };
    // A name in another language ranks after an equal match in the page's language.
    const best = Math.min(own, also.rank + 0.5);
    if (best < 9) found.push({ code, name, also: best < own ? also.name : "", rank: best });
  }
  return found.sort((a, b) => a.rank - b.rank || byName.compare(a.name, b.name));
}

/**
 * @param {string} text - a full name
 * @param {Record<string, string>} names - the page's name of each country, by code
 * @param {Record<string, string[]>} others - further names and codes of each country
 * @param {CountryForms} forms
 * @returns {string[]} codes of the countries with this name, sorted
 */
export function countriesNamed(text, names, others, forms) {
  const wanted = folded(text);
  const exact = Object.entries(names).filter(([code, name]) =>
    [code, name, ...(others[code] ?? [])].map(folded).includes(wanted),
  );
  if (!wanted || exact.length) return wanted ? exact.map(([code]) => code).sort() : [];
  const codes = forms.codes(text);
  if (codes.length) return codes;
  const parts = namesOfForm(text).filter((part) => part !== text);
  const each = parts.map((part) => countriesNamed(part, names, others, forms));
  return each.every((found) => found.length) ? [...new Set(each.flat())].sort() : [];
}

/** @param {string} name - folded */
function joined(name) {
  return name.replaceAll(" ", "");
}

/**
 * @param {string} wanted - folded
 * @param {string} name
 * @returns {number} 0 equal, 1 prefix, 2 prefix of a word, 3 substring, 9 no match
 */
function rank(wanted, name) {
  const there = folded(name);
  if (there === wanted) return 0;
  // "cote divoire": an apostrophe separates words or is omitted.
  if (joined(there).startsWith(joined(wanted))) return 1;
  if (there.includes(` ${wanted}`)) return 2;
  return wanted.length > 2 && there.includes(wanted) ? 3 : 9;
}

/**
 * @param {string} wanted - folded
 * @param {string[]} names
 * @returns {{rank: number, name: string}}
 */
function bestOf(wanted, names) {
  let best = { rank: 9, name: "" };
  for (const name of names) {
    const fits = rank(wanted, name);
    if (fits < best.rank && fits < 3) best = { rank: fits, name };
  }
  return best;
}

/** Countries by what people call them, in any language. */

/** @typedef {{code: string, name: string, also: string}} Found */

/**
 * @param {string} text
 * @returns {string} without accents, capitals, and what joins words
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
 * @param {string} text - what was typed
 * @param {Record<string, string>} names - the page's name of each country, by code
 * @param {Record<string, string[]>} others - what else it is called, and its other codes
 * @returns {Found[]} the best first; `also` is the other name that fits, if the page's does not
 */
export function searchCountries(text, names, others) {
  const wanted = folded(text);
  const byName = new Intl.Collator(undefined, { sensitivity: "base" });
  /** @type {(Found & {rank: number})[]} */
  const found = [];
  for (const [code, name] of Object.entries(names)) {
    const own = Math.min(rank(wanted, name), wanted === folded(code) ? 0 : 9);
    const also = own > 2 ? bestOf(wanted, others[code] ?? []) : { rank: 9, name: "" };
    // A name in another language comes after one in the page's that fits as well.
    const best = Math.min(own, also.rank + 0.5);
    if (best < 9) found.push({ code, name, also: best < own ? also.name : "", rank: best });
  }
  return found.sort((a, b) => a.rank - b.rank || byName.compare(a.name, b.name));
}

/** @param {string} name - folded */
function joined(name) {
  return name.replaceAll(" ", "");
}

/**
 * @param {string} wanted - folded
 * @param {string} name
 * @returns {number} 0 the same, 1 begins so, 2 a word of it begins so, 3 holds it, 9 no
 */
function rank(wanted, name) {
  const there = folded(name);
  if (there === wanted) return 0;
  // "cote divoire": an apostrophe parts words, or is left out.
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

/** What the page says, in one language; the sentences are those of Python's `ophis.words`. */

import { readJson } from "./page_files.js";

const KEPT = "ophis-language"; // nothing else is ever kept in the browser by the page

export class Words {
  /** @param {any} sections - as `words/LANGUAGE.json` has them */
  constructor(sections) {
    /** @type {string} */
    this.language = sections.language;
    /** @type {Record<string, string>} */
    this.countries = sections.countries;
    this.sections = sections;
    this.shares = new Intl.NumberFormat(this.language, {
      style: "percent",
      minimumFractionDigits: 1,
      maximumFractionDigits: 1,
    });
  }

  /**
   * @param {string} section
   * @param {string} key - as enums spell it
   * @param {Record<string, string>} [filled]
   * @returns {string} a sentence with its places filled in
   */
  say(section, key, filled = {}) {
    const sentence = this.sections[section]?.[key.replaceAll(" ", "_")] ?? "";
    return sentence.replace(
      /\{(\w+)\}/g,
      (/** @type {string} */ _, /** @type {string} */ name) => filled[name] ?? "",
    );
  }

  /**
   * @param {string} code - ISO 3166 alpha-2, in either case
   * @returns {string}
   */
  country(code) {
    return this.countries[code.toUpperCase()] ?? code;
  }

  /**
   * @param {number} share - in [0, 1]
   * @returns {string} never a whole 100 %, nor 0 %: no answer is that sure
   */
  percent(share) {
    if (share < 0.001) return `< ${this.shares.format(0.001)}`;
    if (share > 0.999) return `> ${this.shares.format(0.999)}`;
    return this.shares.format(share);
  }

  /**
   * @param {Record<string, number>} countries - shares by code
   * @returns {string}
   */
  placed(countries) {
    const codes = Object.keys(countries);
    return codes.map((code) => this.country(code)).join(", ");
  }

  /** Write the page's fixed sentences. */
  writePage() {
    document.documentElement.lang = this.language;
    document.title = this.say("page", "title");
    for (const [data, write] of PLACES) {
      for (const element of document.querySelectorAll(`[data-${data}]`)) {
        const [section = "", key = ""] = (element.getAttribute(`data-${data}`) ?? "").split(".");
        write(element, this.say(section, key));
      }
    }
  }
}

/** @type {[string, (element: Element, sentence: string) => void][]} */
const PLACES = [
  ["say", (element, sentence) => element.replaceChildren(sentence)],
  ["say-label", (element, sentence) => element.setAttribute("aria-label", sentence)],
];

/**
 * @param {string} language
 * @returns {Promise<Words>}
 */
export async function readWords(language) {
  return new Words(await readJson(`words/${language}.json`));
}

/**
 * @param {string[]} there - the languages that there are words in
 * @returns {string} the one chosen before, else the first that the browser's owner reads
 */
export function preferredLanguage(there) {
  const wanted = [kept(), ...navigator.languages.map((tag) => tag.split("-")[0] ?? "")];
  return wanted.find((language) => there.includes(language)) ?? "en";
}

/** @returns {string} */
function kept() {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return ""; // storage is switched off
  }
}

/** @param {string} language */
export function keepLanguage(language) {
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // then it is asked again next time
  }
}

/**
 * @param {string} language
 * @returns {string} what its speakers call it
 */
export function ownName(language) {
  const name = new Intl.DisplayNames([language], { type: "language" }).of(language) ?? language;
  return name.charAt(0).toLocaleUpperCase(language) + name.slice(1);
}

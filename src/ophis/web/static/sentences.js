/** Sentences of the page in one language, from src/ophis/locales. */

import { readJson } from "./page_files.js";

const STORAGE_KEY = "ophis-language"; // the only thing that the page stores

export class Sentences {
  /** @param {any} sections - content of `sentences/LANGUAGE.json` */
  constructor(sections) {
    /** @type {string} */
    this.language = sections.language;
    /** @type {Record<string, string>} */
    this.countries = sections.countries;
    this.sections = sections;
    this.percentages = new Intl.NumberFormat(this.language, {
      style: "percent",
      minimumFractionDigits: 1,
      maximumFractionDigits: 1,
    });
  }

  /**
   * @param {string} section
   * @param {string} key - value of a Python enum, or its key in the TOML file
   * @param {Record<string, string>} [filled]
   * @returns {string} the sentence with its placeholders filled in
   */
  text(section, key, filled = {}) {
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
   * @param {number} fraction - in [0, 1]
   * @returns {string} never 0 % or 100 %: no answer is certain
   */
  percent(fraction) {
    if (fraction < 0.001) return `< ${this.percentages.format(0.001)}`;
    if (fraction > 0.999) return `> ${this.percentages.format(0.999)}`;
    return this.percentages.format(fraction);
  }

  /**
   * @param {Record<string, number>} countries - weights by code
   * @returns {string}
   */
  countryNames(countries) {
    const codes = Object.keys(countries);
    return codes.map((code) => this.country(code)).join(", ");
  }

  /** Write all fixed sentences into the page. */
  writePage() {
    document.documentElement.lang = this.language;
    document.title = this.text("page", "title");
    for (const [data, write] of ATTRIBUTES) {
      for (const element of document.querySelectorAll(`[data-${data}]`)) {
        const [section = "", key = ""] = (element.getAttribute(`data-${data}`) ?? "").split(".");
        write(element, this.text(section, key));
      }
    }
  }
}

/** @type {[string, (element: Element, sentence: string) => void][]} */
const ATTRIBUTES = [
  ["text", (element, sentence) => element.replaceChildren(sentence)],
  ["text-label", (element, sentence) => element.setAttribute("aria-label", sentence)],
];

/**
 * @param {string} language
 * @returns {Promise<Sentences>}
 */
export async function readSentences(language) {
  return new Sentences(await readJson(`sentences/${language}.json`));
}

/**
 * @param {string[]} available - languages with sentences
 * @returns {string} the stored language, else the first available one of the browser
 */
export function preferredLanguage(available) {
  const wanted = [storedLanguage(), ...navigator.languages];
  return wanted.map((tag) => knownLanguage(tag, available)).find(Boolean) ?? "en";
}

/**
 * As `known_language` in src/ophis/locales.
 *
 * @param {string} tag - such as es-MX, pt_BR or EN
 * @param {string[]} available - languages with sentences
 * @returns {string | undefined} its language, if that has sentences
 */
export function knownLanguage(tag, available) {
  const language = /^([a-z]{2,3})([-_][a-z0-9]{1,8})*(\.[a-z0-9-]+)?$/i
    .exec(tag)?.[1]
    ?.toLowerCase();
  return available.find((one) => one === language);
}

/** @returns {string} */
function storedLanguage() {
  try {
    return localStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    return ""; // storage is disabled
  }
}

/** @param {string} language */
export function storeLanguage(language) {
  try {
    localStorage.setItem(STORAGE_KEY, language);
  } catch {
    // storage is disabled
  }
}

/**
 * @param {string} language
 * @returns {string} its name in the language itself
 */
export function ownName(language) {
  const name = new Intl.DisplayNames([language], { type: "language" }).of(language) ?? language;
  return name.charAt(0).toLocaleUpperCase(language) + name.slice(1);
}

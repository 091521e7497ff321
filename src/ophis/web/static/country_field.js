/** Combobox of countries, after the ARIA pattern "editable combobox with list autocomplete". */

import { CountryForms } from "./country_forms.js";
import { countriesNamed, searchCountries } from "./country_search.js";
import { byId, make } from "./elements.js";
import { readJson } from "./page_files.js";

/** @typedef {import("./sentences.js").Sentences} Sentences */

const MOST = 40; // options in the list

export class CountryField {
  /**
   * @param {Sentences} sentences
   * @param {(sentence: string) => void} announce - to a screen reader
   * @param {() => void} changed - called after each change of the country
   */
  constructor(sentences, announce, changed) {
    this.sentences = sentences;
    this.announce = announce;
    this.changed = changed;
    /** @type {string|null} */
    this.code = null;
    /** @type {Record<string, string[]>} */
    this.others = {};
    this.forms = new CountryForms({});
    /** @type {Promise<void>|undefined} */
    this.reading = undefined;
    this.active = -1;
    this.input = /** @type {HTMLInputElement} */ (byId("country"));
    this.list = byId("countries");
    this.unknown = /** @type {HTMLInputElement} */ (byId("unknown"));
    this.input.addEventListener("focus", () => this.readOthers());
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("keydown", (event) => this.pressed(event));
    this.input.addEventListener("blur", () => this.left());
    this.input.addEventListener("click", () => this.open());
    this.list.addEventListener("pointerdown", (event) => event.preventDefault()); // keep the focus
    this.list.addEventListener("click", (event) => this.clicked(event));
    this.unknown.addEventListener("change", () => {
      if (this.unknown.checked) this.choose(null);
      else this.changed();
    });
  }

  /** @returns {boolean} true after a choice: a country, or "I don't know" */
  get decided() {
    return this.code !== null || this.unknown.checked;
  }

  /** Load the further names of countries; a large file, so only when the field is used. */
  async readOthers() {
    this.reading ??= readJson("countries.json").then(
      ({ names, english }) => {
        this.others = names;
        this.forms = new CountryForms(english);
        if (document.activeElement === this.input && this.wrong) this.open();
      },
      () => {
        this.reading = undefined; // the page's own names remain
      },
    );
    await this.reading;
  }

  /** Resolve the typed text to a country, or mark it as wrong. */
  async resolve() {
    if (this.wrong) await this.readOthers();
    this.left();
  }

  /** @param {Sentences} sentences */
  setSentences(sentences) {
    this.sentences = sentences;
    this.input.value = this.code ? sentences.country(this.code) : "";
    this.close();
  }

  /** @param {string|null} code */
  choose(code) {
    this.code = code;
    this.input.value = code ? this.sentences.country(code) : "";
    if (code) this.unknown.checked = false;
    this.close();
    this.complain("");
    if (code) {
      this.announce(this.sentences.text("page", "country_chosen", { country: this.input.value }));
    }
    this.changed();
  }

  forget() {
    this.unknown.checked = false;
    this.choose(null);
  }

  typed() {
    this.code = null;
    this.unknown.checked = false;
    this.complain("");
    this.open();
    this.changed();
  }

  open() {
    const text = this.code ? "" : this.input.value.trim();
    const found = this.search(text);
    this.list.replaceChildren(
      ...found.slice(0, text ? MOST : undefined).map((country, index) => {
        const option = make("li", { role: "option", id: `country-${index}` }, country.name);
        option.dataset.code = country.code;
        option.setAttribute("aria-selected", String(country.code === this.code));
        if (country.also) option.append(" ", make("small", {}, country.also));
        return option;
      }),
    );
    this.active = -1;
    this.input.removeAttribute("aria-activedescendant");
    this.list.hidden = found.length === 0;
    this.input.setAttribute("aria-expanded", String(found.length > 0));
    if (text) {
      const key = found.length ? "country_found" : "country_none";
      this.announce(this.sentences.text("page", key, { number: String(found.length) }));
    }
  }

  /** @param {string} text */
  search(text) {
    const { countries } = this.sentences;
    const found = searchCountries(text, countries, this.others);
    if (found.length) return found;
    const codes = countriesNamed(text, countries, this.others, this.forms);
    return codes.map((code) => ({ code, name: countries[code] ?? code, also: "" }));
  }

  close() {
    this.list.hidden = true;
    this.active = -1;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (this.list.hidden) this.open();
      this.go(step);
    } else if (event.key === "Enter" && !this.list.hidden) {
      event.preventDefault();
      this.take(this.list.children[Math.max(this.active, 0)]);
    } else if (event.key === "Escape") {
      if (this.list.hidden) this.choose(null);
      this.close();
    }
  }

  /** @param {number} step */
  go(step) {
    const options = [...this.list.children];
    if (!options.length) return;
    const from = this.active < 0 && step < 0 ? 0 : this.active;
    this.active = (from + step + options.length) % options.length;
    for (const [index, option] of options.entries()) {
      option.setAttribute("aria-selected", String(index === this.active));
    }
    const option = /** @type {HTMLElement} */ (options[this.active]);
    this.input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }

  /** @param {Event} event */
  clicked(event) {
    if (event.target instanceof Element) this.take(event.target.closest("[role=option]"));
  }

  /** @param {Element|null|undefined} option */
  take(option) {
    if (option instanceof HTMLElement && option.dataset.code) this.choose(option.dataset.code);
  }

  /** Accept a fully typed name; mark other text as wrong. */
  left() {
    this.close();
    const text = this.input.value.trim();
    if (this.code || !text) return;
    const codes = countriesNamed(text, this.sentences.countries, this.others, this.forms);
    if (codes.length === 1 && codes[0]) this.choose(codes[0]);
    else this.complain(this.sentences.text("page", "country_none"));
  }

  /** @param {string} sentence - empty: no problem */
  complain(sentence) {
    const hint = byId("country-hint");
    hint.textContent = sentence || this.sentences.text("page", "country_hint");
    hint.classList.toggle("problem", sentence !== "");
    this.input.setAttribute("aria-invalid", String(sentence !== ""));
  }

  /** @returns {boolean} true while the text is no country */
  get wrong() {
    return this.code === null && this.input.value.trim() !== "";
  }
}

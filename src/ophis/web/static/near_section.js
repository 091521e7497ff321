/** Section of the page: dangerous snakes of the chosen place, without a photo. */

import { dangerTag, recordsLine, speciesItem } from "./assessment.js";
import { byId, make } from "./elements.js";
import { dangerousNear } from "./near_list.js";
import { readJson } from "./page_files.js";

/** @typedef {import("./backend.js").Surroundings} Surroundings */
/** @typedef {import("./location_prior.js").Position} Position */
/** @typedef {import("./near_list.js").NearSpecies} NearSpecies */
/** @typedef {import("./sentences.js").Sentences} Sentences */
/** @typedef {{countries: Record<string, number>, position: Position|null}} FormPlace - weights of
 *   the countries by code */

export class NearSection {
  /**
   * @param {Sentences} sentences
   * @param {() => FormPlace|null} place - the one chosen in the form
   * @param {(place: FormPlace) => Promise<Surroundings|null>} nearby - records around a position
   */
  constructor(sentences, place, nearby) {
    this.sentences = sentences;
    this.place = place;
    this.nearby = nearby;
    this.box = /** @type {HTMLDetailsElement} */ (byId("near"));
    this.drawn = 0; // number of drawings; an earlier one that ends later is dropped
    this.box.addEventListener("toggle", () => this.update());
  }

  /** @param {Sentences} sentences */
  setSentences(sentences) {
    this.sentences = sentences;
    this.update();
  }

  /** Draw the list again, if the section is open. */
  async update() {
    if (!this.box.open) return;
    const drawing = ++this.drawn;
    const place = this.place();
    const parts = place
      ? await this.list(place).catch(() => [this.line("error", "unreachable")])
      : [this.line("page", "near_first")];
    if (drawing !== this.drawn) return;
    const advice = make("p", { class: "near-advice" }, this.sentences.text("advice", "emergency"));
    byId("near-list").replaceChildren(...parts, advice);
  }

  /**
   * @param {string} section
   * @param {string} key
   * @param {Record<string, string>} [filled]
   */
  line(section, key, filled) {
    return make("p", {}, this.sentences.text(section, key, filled));
  }

  /** @param {FormPlace} place */
  async list(place) {
    const facts = await readJson("near.json");
    const around = place.position && (await this.nearby(place).catch(() => null));
    const codes = Object.keys(place.countries);
    const rows = dangerousNear(facts, codes, around);
    const countries = this.sentences.countryNames(place.countries);
    const items = rows.map((row) => this.row(row, codes.length > 1, around !== null));
    const number = around?.total.toLocaleString(this.sentences.language) ?? "";
    return [
      make("h3", {}, this.sentences.text("near", rows.length ? "heading" : "none", { countries })),
      make("ul", { class: "guesses near-species" }, ...items),
      ...(around ? [this.line("records", "total", { number })] : []),
      make("p", { class: "near-incomplete" }, this.sentences.text("near", "incomplete")),
      ...(rows.length
        ? [make("p", { class: "hint" }, this.sentences.text("near", "categories"))]
        : []),
    ];
  }

  /**
   * @param {NearSpecies} row
   * @param {boolean} several - countries
   * @param {boolean} located - there are records around the position
   */
  row(row, several, located) {
    const { sentences } = this;
    const category = row.category
      ? sentences.text("page", "near_category", { category: String(row.category) })
      : "";
    const listed = row.countries.length
      ? row.countries.map((code) => sentences.country(code)).join(", ")
      : sentences.text("near", "only_recorded");
    const danger = [sentences.text("danger", row.danger), category].filter(Boolean).join(", ");
    const probability = row.probability === null ? "" : sentences.percent(row.probability);
    return speciesItem(
      row.species,
      probability,
      dangerTag(row.danger, danger),
      ...(located ? [recordsLine(row, sentences)] : []),
      ...(several || !row.countries.length ? [make("span", { class: "recorded" }, listed)] : []),
    );
  }
}

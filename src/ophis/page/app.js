/** The page: what a person does, and what is shown next. */

import { answerParts, linesOf, offer } from "./answer.js";
import { openAnswerer } from "./answerer.js";
import { Camera } from "./camera.js";
import { cardParts } from "./card.js";
import { CountryField } from "./country.js";
import { byId, icon, make } from "./elements.js";
import { countriesOf } from "./position.js";
import { refusalParts } from "./refused.js";
import { placesOf } from "./seen.js";
import { announce, complain, endProgress, tellNetwork, tellProgress } from "./status.js";
import { readJson } from "./stored.js";
import { Tray } from "./tray.js";
import { keepLanguage, ownName, preferredLanguage, readWords } from "./words.js";

/** @typedef {import("./answerer.js").Answer} Answer */
/** @typedef {import("./answerer.js").Settings} Settings */
/** @typedef {import("./words.js").Words} Words */
/** @typedef {"empty"|"asking"|"answer"|"refusal"} Screen */

const MOST_GUESSES = 8;

class Page {
  /**
   * @param {Settings} settings
   * @param {Words} words
   */
  constructor(settings, words) {
    this.settings = settings;
    this.words = words;
    /** @type {AbortController|null} */
    this.asked = null;
    /** @type {(() => void)|null} */
    this.redraw = null; // what is shown, in another language
    this.declined = false; // the country that the photo's own position tells
    this.country = new CountryField(words, announce);
    this.tray = new Tray(words, {
      changed: () => this.photosChanged(),
      refused: complain,
    });
    this.camera = new Camera({
      taken: (photo) => this.tray.add([photo]),
      failed: () => complain(this.say("camera_failed")),
    });
    this.answerer = openAnswerer(settings);
    this.answerer.catch(() => {}); // told when it is asked
  }

  /**
   * @param {string} key
   * @param {Record<string, string>} [filled]
   */
  say(key, filled) {
    return this.words.say("page", key, filled);
  }

  start() {
    byId("starting").remove();
    byId("ask").hidden = byId("bite").hidden = false;
    byId("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    byId("cancel").addEventListener("click", () => this.cancel());
    addEventListener("online", () => tellNetwork(this.words, this.settings.mode));
    addEventListener("offline", () => tellNetwork(this.words, this.settings.mode));
    this.write();
    if (this.settings.mode === "local" && typeof WebAssembly === "undefined") this.tooOld();
    else this.warm();
  }

  /** Everything that the page says whatever happens, in its language. */
  write() {
    this.words.writePage();
    const { mode, bundle, species } = this.settings;
    const number = species.toLocaleString(this.words.language);
    byId("bundle").textContent = this.words.say("bundle", "version", { version: bundle });
    byId("knows").textContent = this.say("knows", { number });
    byId("private").textContent = this.say(`private_${mode}`, { host: location.host });
    this.tray.rename(this.words);
    this.country.rename(this.words);
    tellNetwork(this.words, this.settings.mode);
  }

  /** @param {Screen} screen */
  show(screen) {
    byId("main").dataset.state = screen;
    byId("asking").hidden = screen !== "asking";
    byId("answer").hidden = screen !== "answer" && screen !== "refusal";
    if (screen === "empty") {
      this.redraw = null;
      byId("answer").replaceChildren();
      byId("card").replaceChildren();
    }
  }

  async warm() {
    try {
      const answerer = await this.answerer;
      await answerer.warm((share) => tellProgress(this.words, share));
      answerer.kept().then((kept) => {
        byId("kept").hidden = !kept;
      });
    } catch {
      // the question will say what is wrong
    }
    endProgress(this.words);
  }

  tooOld() {
    this.show("refusal");
    const heading = make("h2", { id: "verdict", tabindex: "-1" }, icon("unusable"));
    heading.append(this.say("refusal"));
    const box = make("div", { class: "verdict refusal" }, heading);
    box.append(make("p", {}, this.say("old_browser")));
    byId("answer").replaceChildren(box);
    byId("ask").hidden = true;
    this.redraw = () => this.tooOld();
  }

  async photosChanged() {
    complain("");
    const { photos } = this.tray;
    announce(this.say("photos_chosen", { number: String(photos.length) }));
    byId("offer").hidden = true;
    if (this.country.decided || this.declined) return;
    for (const photo of photos) {
      const countries = await countriesOf(photo.file);
      if (Object.keys(countries).length) {
        this.offer(countries);
        return;
      }
    }
  }

  /** @param {Record<string, number>} countries - that a photo's own position tells */
  offer(countries) {
    const box = byId("offer");
    const made = offer(countries, this.words, (code) => {
      this.decide(code);
      box.hidden = true;
      byId(code ? "submit" : "country").focus();
    });
    made.querySelector("p")?.setAttribute("id", "offer-words");
    box.replaceChildren(made);
    box.hidden = false;
    announce(made.querySelector("p")?.textContent ?? "");
  }

  /** @param {string|null} code - the country that a person confirmed; null: it is not that */
  decide(code) {
    this.country.choose(code);
    this.declined = code === null;
  }

  async ask() {
    if (!this.tray.photos.length) {
      complain(this.say("photo_first"));
      byId("take").focus();
      return;
    }
    await this.country.settle();
    if (this.country.wrong) {
      complain(this.say("country_none"));
      byId("country").focus();
      return;
    }
    complain("");
    this.show("asking");
    byId("asking-words").focus();
    const asked = new AbortController();
    this.asked?.abort();
    this.asked = asked;
    try {
      const answerer = await this.answerer;
      const answer = await answerer.ask(this.question(), { signal: asked.signal });
      const photos = [...this.tray.photos];
      const places = await placesOf(
        answer,
        photos.map((photo) => photo.file),
      );
      const shown = photos.map((photo, order) => ({ photo, place: places[order] ?? -1 }));
      if (asked === this.asked) this.showAnswer(answer, shown, new Date());
    } catch (error) {
      if (asked === this.asked) this.showRefusal(error);
    }
  }

  /** @returns {import("./answerer.js").Question} */
  question() {
    const { code, decided } = this.country;
    return {
      photos: this.tray.photos.map((photo) => photo.file),
      country: code,
      gps: !decided && !this.declined,
      top: MOST_GUESSES,
      language: this.words.language,
      evidence: true,
    };
  }

  /**
   * @param {Answer} answer
   * @param {import("./answer.js").Shown[]} shown
   * @param {Date} time
   */
  showAnswer(answer, shown, time) {
    const acts = {
      change: () => this.change(),
      print: () => print(),
      another: () => this.another(),
      confirm: (/** @type {string|null} */ code) => this.confirm(answer, code),
    };
    byId("answer").replaceChildren(...answerParts(answer, shown, this.words, acts));
    const photos = shown.filter(({ place }) => place >= 0).map(({ photo }) => photo);
    byId("card").replaceChildren(...cardParts(answer, photos, this.words, time));
    this.show("answer");
    this.redraw = () => this.ask(); // its sentences come in the language of the question
    const { warning, verdict, state } = linesOf(answer);
    announce([warning, verdict, state].filter(Boolean).join(" "));
    byId("verdict").focus();
  }

  /**
   * @param {Answer} answer - whose country is that of the photo's own position
   * @param {string|null} code
   */
  confirm(answer, code) {
    this.decide(code);
    const single = Object.keys(answer.countries).length === 1;
    if (code && single) byId("answer").querySelector(".offered")?.remove();
    if (code && single) byId("verdict").focus();
    else this.ask();
  }

  /** @param {unknown} error */
  showRefusal(error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    const acts = { again: () => void this.ask(), change: () => this.change() };
    byId("answer").replaceChildren(
      ...refusalParts(error, this.words, this.settings.mode === "local", acts),
    );
    this.show("refusal");
    this.redraw = () => this.showRefusal(error);
    byId("verdict").focus();
  }

  cancel() {
    this.asked?.abort();
    this.asked = null;
    this.show("empty");
    announce(this.say("cancelled"));
    byId("submit").focus();
  }

  change() {
    this.show("empty");
    byId("heading").focus();
  }

  another() {
    this.tray.clear();
    this.country.forget();
    this.declined = false;
    byId("offer").hidden = true;
    this.change();
    scrollTo({ top: 0 });
  }

  /** @param {string} language */
  async speak(language) {
    this.words = await readWords(language);
    keepLanguage(language);
    this.write();
    this.redraw?.();
  }
}

/** @param {Page} page */
function offerLanguages(page) {
  const select = /** @type {HTMLSelectElement} */ (byId("language"));
  for (const language of page.settings.languages) {
    select.append(make("option", { value: language, lang: language }, ownName(language)));
  }
  select.value = page.words.language;
  select.addEventListener("change", () => page.speak(select.value));
}

/** @type {Settings} */
const settings = await readJson("settings.json");
const page = new Page(settings, await readWords(preferredLanguage(settings.languages)));
offerLanguages(page);
page.start();

/** The page: what a person does, and what is shown next. */

import { answerParts, linesOf } from "./answer.js";
import { BackendError, openBackend } from "./backend.js";
import { Camera } from "./camera.js";
import { byId, make } from "./elements.js";
import { errorParts } from "./error_view.js";
import { readJson } from "./page_files.js";
import { PhotoList } from "./photo_list.js";
import { matchPhotos } from "./photo_matching.js";
import { PlaceForm } from "./place_form.js";
import { cardParts } from "./printed_card.js";
import { keepLanguage, ownName, preferredLanguage, readWords } from "./sentences.js";
import { announce, complain, endProgress, tellNetwork, tellProgress } from "./status.js";

/** @typedef {import("./backend.js").Answer} Answer */
/** @typedef {import("./backend.js").Settings} Settings */
/** @typedef {import("./sentences.js").Words} Words */
/** @typedef {"empty"|"asking"|"answer"|"error"} Screen */

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
    this.placeForm = new PlaceForm(words, announce);
    this.photoList = new PhotoList(words, {
      changed: () => this.photosChanged(),
      refused: complain,
    });
    this.camera = new Camera({
      taken: (photo) => this.photoList.add([photo]),
      failed: () => complain(this.say("camera_failed")),
    });
    this.backend = openBackend(settings);
    this.backend.catch(() => {}); // told when it is asked
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
    this.warm();
  }

  /** Everything that the page says whatever happens, in its language. */
  write() {
    this.words.writePage();
    const { mode, bundle, species } = this.settings;
    const number = species.toLocaleString(this.words.language);
    byId("bundle").textContent = this.words.say("bundle", "version", { version: bundle });
    byId("knows").textContent = this.say("knows", { number });
    byId("private").textContent = this.say(`private_${mode}`, { host: location.host });
    this.photoList.rename(this.words);
    this.placeForm.rename(this.words);
    tellNetwork(this.words, this.settings.mode);
  }

  /** @param {Screen} screen */
  show(screen) {
    byId("main").dataset.state = screen;
    byId("asking").hidden = screen !== "asking";
    byId("answer").hidden = screen !== "answer" && screen !== "error";
    if (screen === "empty") {
      this.redraw = null;
      byId("answer").replaceChildren();
      byId("card").replaceChildren();
    }
  }

  async warm() {
    try {
      const backend = await this.backend;
      await backend.warm((share) => tellProgress(this.words, share));
      backend.kept().then((kept) => {
        byId("kept").hidden = !kept;
      });
    } catch (error) {
      // Of anything else the question will say what is wrong.
      if (error instanceof BackendError && error.reason === "no_webassembly") this.tooOld(error);
    }
    endProgress(this.words);
  }

  /** @param {BackendError} refusal - of this browser, whatever is asked */
  tooOld(refusal) {
    byId("ask").hidden = true;
    this.showError(refusal);
  }

  photosChanged() {
    complain("");
    const { photos } = this.photoList;
    announce(this.say("photos_chosen", { number: String(photos.length) }));
    this.placeForm.read(photos.map((photo) => photo.file));
  }

  async ask() {
    if (!this.photoList.photos.length) {
      complain(this.say("photo_first"));
      byId("take").focus();
      return;
    }
    await this.placeForm.country.settle();
    if (this.placeForm.country.wrong) {
      complain(this.say("country_none"));
      byId("country").focus();
      return;
    }
    complain("");
    this.placeForm.stop();
    this.show("asking");
    byId("asking-words").focus();
    const asked = new AbortController();
    this.asked?.abort();
    this.asked = asked;
    try {
      const backend = await this.backend;
      const answer = await backend.ask(this.question(), { signal: asked.signal });
      const photos = [...this.photoList.photos];
      const places = await matchPhotos(
        answer,
        photos.map((photo) => photo.file),
      );
      const shown = photos.map((photo, order) => ({ photo, place: places[order] ?? -1 }));
      if (asked === this.asked) this.showAnswer(answer, shown, new Date());
    } catch (error) {
      if (asked === this.asked) this.showError(error);
    }
  }

  /** @returns {import("./backend.js").Question} */
  question() {
    const { code, gps } = this.placeForm;
    return {
      photos: this.photoList.photos.map((photo) => photo.file),
      country: code,
      gps,
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
    this.placeForm.decide(code);
    const single = Object.keys(answer.countries).length === 1;
    if (code && single) byId("answer").querySelector(".offered")?.remove();
    if (code && single) byId("verdict").focus();
    else this.ask();
  }

  /** @param {unknown} error */
  showError(error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    const acts = { again: () => void this.ask(), change: () => this.change() };
    const here = this.settings.mode === "local";
    byId("answer").replaceChildren(...errorParts(error, this.words, here, acts));
    this.show("error");
    this.redraw = () => this.showError(error);
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
    this.photoList.clear();
    this.placeForm.forget();
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

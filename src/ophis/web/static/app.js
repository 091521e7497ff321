/** Entry point of the page: connects the form, the backend and the views. */

import { answerParts } from "./answer.js";
import { linesOf } from "./assessment.js";
import { BackendError, openBackend } from "./backend.js";
import { Camera } from "./camera.js";
import { byId, make } from "./elements.js";
import { errorParts, UNSUPPORTED } from "./error_view.js";
import { NearSection } from "./near_section.js";
import { readJson } from "./page_files.js";
import { PhotoList } from "./photo_list.js";
import { matchPhotos } from "./photo_matching.js";
import { PlaceForm } from "./place_form.js";
import { cardParts } from "./printed_card.js";
import { ownName, preferredLanguage, readSentences, storeLanguage } from "./sentences.js";
import { announce, complain, endProgress, showNetwork, showProgress } from "./status.js";

/** @typedef {import("./backend.js").Answer} Answer */
/** @typedef {import("./backend.js").Settings} Settings */
/** @typedef {import("./sentences.js").Sentences} Sentences */
/** @typedef {"empty"|"identifying"|"answer"|"error"} Screen */

const MOST_GUESSES = 8;

class Page {
  /**
   * @param {Settings} settings
   * @param {Sentences} sentences
   */
  constructor(settings, sentences) {
    this.settings = settings;
    this.sentences = sentences;
    /** @type {AbortController|null} */
    this.request = null;
    /** @type {(() => void)|null} */
    this.redraw = null; // draws the current screen again, after a change of language
    this.placeForm = new PlaceForm(settings, sentences, {
      announce,
      changed: () => this.near?.update(),
    });
    this.photoList = new PhotoList(sentences, {
      changed: () => this.photosChanged(),
      rejected: complain,
    });
    this.camera = new Camera({
      taken: (photo) => this.photoList.add([photo]),
      failed: () => complain(this.text("camera_failed")),
    });
    this.backend = openBackend(settings);
    this.backend.catch(() => {}); // the error is shown with the next request
    this.near = new NearSection(
      sentences,
      () => this.placeForm.place,
      async (place) => (await this.backend).nearby(place),
    );
  }

  /**
   * @param {string} key
   * @param {Record<string, string>} [filled]
   */
  text(key, filled) {
    return this.sentences.text("page", key, filled);
  }

  start() {
    byId("starting").remove();
    byId("request").hidden = byId("near").hidden = byId("bite").hidden = false;
    byId("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    byId("cancel").addEventListener("click", () => this.cancel());
    addEventListener("online", () => showNetwork(this.sentences, this.settings.mode));
    addEventListener("offline", () => showNetwork(this.sentences, this.settings.mode));
    this.writeText();
    this.load();
  }

  /** Write all fixed text in the current language. */
  writeText() {
    this.sentences.writePage();
    const { mode, bundle, species } = this.settings;
    const number = species.toLocaleString(this.sentences.language);
    byId("bundle").textContent = this.sentences.text("bundle", "version", {
      version: bundle.slice(0, 12),
    });
    byId("species-count").textContent = this.text("species_count", { number });
    byId("private").textContent = this.text(`private_${mode}`, { host: location.host });
    this.photoList.setSentences(this.sentences);
    this.placeForm.setSentences(this.sentences);
    this.near.setSentences(this.sentences);
    showNetwork(this.sentences, this.settings.mode);
  }

  /** @param {Screen} screen */
  show(screen) {
    byId("main").dataset.state = screen;
    byId("identifying").hidden = screen !== "identifying";
    byId("answer").hidden = screen !== "answer" && screen !== "error";
    if (screen === "empty") {
      this.redraw = null;
      byId("answer").replaceChildren();
      byId("card").replaceChildren();
    }
  }

  async load() {
    try {
      const backend = await this.backend;
      await backend.load((fraction) => showProgress(this.sentences, fraction));
      backend.availableOffline().then((available) => {
        byId("available-offline").hidden = !available;
      });
    } catch (error) {
      // Other errors are shown with the next request.
      if (error instanceof BackendError && UNSUPPORTED.includes(error.reason))
        this.showUnsupported(error);
    }
    endProgress(this.sentences);
  }

  /** @param {BackendError} error - this browser cannot run the model, or counts wrong */
  showUnsupported(error) {
    byId("request").hidden = true;
    this.showError(error);
  }

  photosChanged() {
    complain("");
    const { photos } = this.photoList;
    announce(this.text("photos_chosen", { number: String(photos.length) }));
    this.placeForm.read(photos.map((photo) => photo.file));
  }

  async submit() {
    if (!this.photoList.photos.length) {
      complain(this.text("photo_first"));
      byId("take").focus();
      return;
    }
    await this.placeForm.country.resolve();
    if (this.placeForm.country.wrong) {
      complain(this.text("country_none"));
      byId("country").focus();
      return;
    }
    complain("");
    this.placeForm.stop();
    this.show("identifying");
    byId("identifying-text").focus();
    const request = new AbortController();
    this.request?.abort();
    this.request = request;
    try {
      const backend = await this.backend;
      const answer = await backend.identify(this.formData(), { signal: request.signal });
      const photos = [...this.photoList.photos];
      const indexes = await matchPhotos(
        answer,
        photos.map((photo) => photo.file),
      );
      const shown = photos.map((photo, order) => ({
        photo,
        index: indexes[order] ?? -1,
        number: order + 1,
      }));
      if (request === this.request) this.showAnswer(answer, shown, new Date());
    } catch (error) {
      if (request === this.request) this.showError(error);
    }
  }

  /** @returns {import("./backend.js").IdentifyRequest} */
  formData() {
    const { code, at, gps } = this.placeForm;
    return {
      photos: this.photoList.photos.map((photo) => photo.file),
      country: code,
      at,
      gps,
      top: MOST_GUESSES,
      language: this.sentences.language,
      evidence: true,
    };
  }

  /**
   * @param {Answer} answer
   * @param {import("./assessment.js").Shown[]} shown
   * @param {Date} time
   */
  showAnswer(answer, shown, time) {
    const acts = {
      change: () => this.change(),
      print: () => print(),
      another: () => this.reset(),
      confirm: (/** @type {string|null} */ code) => this.confirm(answer, code),
    };
    byId("answer").replaceChildren(...answerParts(answer, shown, this.sentences, acts));
    byId("card").replaceChildren(...cardParts(answer, shown, this.sentences, time));
    this.show("answer");
    this.redraw = () => this.submit(); // the answer's sentences are in the language of the request
    const { warning, verdict, state } = linesOf(answer);
    announce([warning, verdict, state].filter(Boolean).join(" "));
    byId("verdict").focus();
  }

  /**
   * @param {Answer} answer - whose country comes from the photo's position
   * @param {string|null} code
   */
  confirm(answer, code) {
    this.placeForm.decide(code);
    const single = Object.keys(answer.countries).length === 1;
    if (code && single) byId("answer").querySelector(".offered")?.remove();
    if (code && single) byId("verdict").focus();
    else this.submit();
  }

  /** @param {unknown} error */
  showError(error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    const acts = { again: () => void this.submit(), change: () => this.change() };
    const local = this.settings.mode === "local";
    byId("answer").replaceChildren(...errorParts(error, this.sentences, local, acts));
    this.show("error");
    this.redraw = () => this.showError(error);
    byId("verdict").focus();
  }

  cancel() {
    this.request?.abort();
    this.request = null;
    this.show("empty");
    announce(this.text("cancelled"));
    byId("submit").focus();
  }

  change() {
    this.show("empty");
    byId("heading").focus();
  }

  reset() {
    this.photoList.clear();
    this.placeForm.forget();
    this.change();
    scrollTo({ top: 0 });
  }

  /** @param {string} language */
  async setLanguage(language) {
    this.sentences = await readSentences(language);
    storeLanguage(language);
    this.writeText();
    this.redraw?.();
  }
}

/** @param {Page} page */
function offerLanguages(page) {
  const select = /** @type {HTMLSelectElement} */ (byId("language"));
  for (const language of page.settings.languages) {
    select.append(make("option", { value: language, lang: language }, ownName(language)));
  }
  select.value = page.sentences.language;
  select.addEventListener("change", () => page.setLanguage(select.value));
}

/** @type {Settings} */
const settings = await readJson("settings.json");
const page = new Page(settings, await readSentences(preferredLanguage(settings.languages)));
offerLanguages(page);
page.start();

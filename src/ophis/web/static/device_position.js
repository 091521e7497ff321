/** The country where this device is: asked for by a tap, found in the browser, never by itself. */

import { byId } from "./elements.js";
import { countriesHere } from "./position.js";

/** @typedef {import("./sentences.js").Words} Words */
/** @typedef {Record<string, number>} Countries - shares by code, the largest first */

const DENIED = 1; // as the Geolocation API numbers it
const MOST_SECONDS = 30; // also of a browser that never says what became of its own question

export class DevicePosition {
  /**
   * @param {Words} words
   * @param {(sentence: string) => void} announce - to a screen reader
   * @param {{asked: () => void, found: (countries: Countries) => void}} told
   */
  constructor(words, announce, told) {
    this.words = words;
    this.announce = announce;
    this.told = told;
    /** @type {AbortController|null} */
    this.looking = null;
    this.problem = ""; // its key among the words
    // Over plain http browsers tell no position.
    byId("here").hidden = !(isSecureContext && navigator.geolocation);
    byId("here-ask").addEventListener("click", () => this.ask());
    byId("here-cancel").addEventListener("click", () => this.cancel());
  }

  /** @param {Words} words */
  rename(words) {
    this.words = words;
    this.complain(this.problem);
  }

  async ask() {
    const looking = new AbortController();
    const limit = setTimeout(() => looking.abort(), MOST_SECONDS * 1000);
    this.looking = looking;
    this.told.asked();
    this.complain("");
    this.show(true);
    this.announce(this.words.say("page", "here_waiting"));
    byId("here-cancel").focus();
    try {
      const countries = await countriesHere(looking.signal);
      if (looking !== this.looking) return; // it was cancelled, or asked anew
      this.end(Object.keys(countries).length ? "" : "here_nowhere");
      if (!this.problem) this.told.found(countries);
    } catch (error) {
      const { code } = /** @type {Partial<GeolocationPositionError>} */ (error);
      if (looking === this.looking) this.end(code === DENIED ? "here_denied" : "here_unavailable");
    } finally {
      clearTimeout(limit);
    }
  }

  cancel() {
    this.stop();
    this.announce(this.words.say("page", "here_cancelled"));
    byId("here-ask").focus();
  }

  /** Forget what was looked for, or was wrong. */
  stop() {
    const { looking } = this;
    this.looking = null;
    looking?.abort();
    this.show(false);
    this.complain("");
  }

  /** @param {string} problem */
  end(problem) {
    this.looking = null;
    this.show(false);
    this.complain(problem);
    if (problem) byId("here-ask").focus();
  }

  /** @param {boolean} waiting */
  show(waiting) {
    byId("here-ask").hidden = waiting;
    byId("here-wait").hidden = !waiting;
  }

  /** @param {string} problem - empty when there is none */
  complain(problem) {
    this.problem = problem;
    byId("here-problem").textContent = problem && this.words.say("page", problem);
  }
}

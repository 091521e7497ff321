/** Position and country of this device, determined in the browser, only after a tap. */

import { byId } from "./elements.js";
import { locateDevice } from "./position.js";

/** @typedef {import("./sentences.js").Sentences} Sentences */
/** @typedef {import("./position.js").Located} Located */

const DENIED = 1; // as the Geolocation API numbers it
const MOST_SECONDS = 30; // some browsers never report that their permission dialog was dismissed

export class DevicePosition {
  /**
   * @param {Sentences} sentences
   * @param {(sentence: string) => void} announce - to a screen reader
   * @param {{started: () => void, found: (located: Located) => void}} callbacks
   */
  constructor(sentences, announce, callbacks) {
    this.sentences = sentences;
    this.announce = announce;
    this.callbacks = callbacks;
    /** @type {AbortController|null} */
    this.search = null;
    this.problem = ""; // its key among the sentences
    // Browsers give no position over plain http.
    byId("device-position").hidden = !(isSecureContext && navigator.geolocation);
    byId("device-use").addEventListener("click", () => this.start());
    byId("device-cancel").addEventListener("click", () => this.cancel());
  }

  /** @param {Sentences} sentences */
  setSentences(sentences) {
    this.sentences = sentences;
    this.complain(this.problem);
  }

  async start() {
    const search = new AbortController();
    const limit = setTimeout(() => search.abort(), MOST_SECONDS * 1000);
    this.search = search;
    this.callbacks.started();
    this.complain("");
    this.show(true);
    this.announce(this.sentences.text("page", "device_waiting"));
    byId("device-cancel").focus();
    try {
      const located = await locateDevice(search.signal);
      if (search !== this.search) return; // cancelled or restarted
      this.end(Object.keys(located.countries).length ? "" : "device_nowhere");
      if (!this.problem) this.callbacks.found(located);
    } catch (error) {
      const { code } = /** @type {Partial<GeolocationPositionError>} */ (error);
      if (search === this.search)
        this.end(code === DENIED ? "device_denied" : "device_unavailable");
    } finally {
      clearTimeout(limit);
    }
  }

  cancel() {
    this.stop();
    this.announce(this.sentences.text("page", "device_cancelled"));
    byId("device-use").focus();
  }

  /** Cancel the search and clear the problem. */
  stop() {
    const { search } = this;
    this.search = null;
    search?.abort();
    this.show(false);
    this.complain("");
  }

  /** @param {string} problem */
  end(problem) {
    this.search = null;
    this.show(false);
    this.complain(problem);
    if (problem) byId("device-use").focus();
  }

  /** @param {boolean} waiting */
  show(waiting) {
    byId("device-use").hidden = waiting;
    byId("device-wait").hidden = !waiting;
  }

  /** @param {string} problem - empty: none */
  complain(problem) {
    this.problem = problem;
    byId("device-problem").textContent = problem && this.sentences.text("page", problem);
  }
}

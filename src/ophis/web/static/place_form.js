/** Place of the photo: country field, and confirmation of countries from positions. */

import { countryConfirmation } from "./country_confirmation.js";
import { CountryField } from "./country_field.js";
import { DevicePosition } from "./device_position.js";
import { byId } from "./elements.js";
import { locatePhoto } from "./position.js";

/** @typedef {import("./backend.js").Settings} Settings */
/** @typedef {import("./location_prior.js").Position} Position */
/** @typedef {import("./position.js").Located} Located */
/** @typedef {import("./sentences.js").Sentences} Sentences */
/** @typedef {Located & {photo: Blob|null}} Offered - by the position of a photo, or of this device */

export class PlaceForm {
  /**
   * @param {Settings} settings
   * @param {Sentences} sentences
   * @param {{announce: (sentence: string) => void, changed: () => void}} callbacks - announce: to a
   *   screen reader; changed: called after each change of the place
   */
  constructor(settings, sentences, { announce, changed }) {
    this.settings = settings;
    this.sentences = sentences;
    this.announce = announce;
    this.changed = changed;
    this.declined = false; // the country of the photo's position
    /** @type {Offered|null} */
    this.offered = null;
    /** @type {Offered|null} */
    this.found = null; // of the first photo with a position
    /** @type {Offered|null} */
    this.used = null; // whose position is used with the country
    this.country = new CountryField(sentences, announce, () => this.use(null));
    this.devicePosition = new DevicePosition(sentences, announce, {
      started: () => this.offer(null),
      found: (located) => {
        this.offer({ ...located, photo: null });
        byId("offer").querySelector("button")?.focus();
      },
    });
    byId("position-leave").addEventListener("click", () => {
      this.use(null);
      byId("submit").focus();
    });
  }

  /** @returns {string|null} the country chosen or confirmed by the person */
  get code() {
    return this.country.code;
  }

  /** @returns {Position|null} the position whose country was confirmed, if the bundle uses any */
  get at() {
    return this.used?.position ?? null;
  }

  /** @returns {boolean} true if the country may come from a photo's position */
  get gps() {
    return !this.country.decided && !this.declined;
  }

  /** @returns {import("./near_section.js").FormPlace|null} null: none is chosen */
  get place() {
    const located = this.used ?? (this.gps ? this.found : null);
    if (located) {
      const { countries, position } = located;
      return { countries, position: this.settings.records ? position : null };
    }
    return this.code ? { countries: { [this.code]: 1 }, position: null } : null;
  }

  /** @param {Sentences} sentences */
  setSentences(sentences) {
    this.sentences = sentences;
    this.country.setSentences(sentences);
    this.devicePosition.setSentences(sentences);
    if (this.offered) this.offer(this.offered);
    const { mode, records } = this.settings;
    const text = (/** @type {string} */ key) =>
      sentences.text("page", key, { host: location.host });
    byId("device-private").textContent = text(
      records ? `device_private_${mode}` : "device_private",
    );
    byId("position-text").textContent = text(`position_${mode}`);
  }

  /**
   * Offer the country of the first photo with a position for confirmation.
   *
   * @param {Blob[]} photos - chosen photos; a later call cancels an earlier one
   */
  async read(photos) {
    if (this.offered?.photo) this.offer(null);
    if (this.used?.photo && !photos.includes(this.used.photo)) this.use(null);
    this.photos = photos;
    this.found = null;
    for (const photo of this.gps ? photos : []) {
      const located = await locatePhoto(photo).catch(() => null); // borders not loaded: no offer
      if (this.photos !== photos || !this.gps) return;
      if (!located || !Object.keys(located.countries).length) continue;
      this.found = { ...located, photo };
      this.offer(this.found);
      break;
    }
    this.changed();
  }

  /** @param {Offered|null} offered */
  offer(offered) {
    this.offered = offered;
    const box = byId("offer");
    box.hidden = offered === null;
    box.replaceChildren();
    if (!offered) return;
    const confirmation = countryConfirmation(
      offered.countries,
      this.sentences,
      (code) => this.confirm(offered, code),
      offered.photo ? "position" : "device",
    );
    confirmation.querySelector("p")?.setAttribute("id", "offer-text");
    box.append(confirmation);
    this.announce(confirmation.querySelector("p")?.textContent ?? "");
  }

  /**
   * @param {Offered} offered
   * @param {string|null} code
   */
  confirm(offered, code) {
    if (offered.photo || code) this.decide(code, offered);
    this.offer(null);
    byId(code ? "submit" : "country").focus();
  }

  /**
   * @param {string|null} code - the confirmed country; null: the photo's country was declined
   * @param {Offered|null} [offered] - whose country it is
   */
  decide(code, offered = this.found) {
    this.declined = code === null;
    this.country.choose(code); // drops a position used before
    if (code) this.use(offered);
  }

  /**
   * Use a position with the confirmed country, if the bundle has records around positions.
   *
   * @param {Offered|null} offered
   */
  use(offered) {
    this.used = this.settings.records ? offered : null;
    byId("position-used").hidden = this.used === null;
    this.changed();
  }

  /** Cancel the search for the device's position when the form is submitted. */
  stop() {
    this.devicePosition.stop();
  }

  forget() {
    this.devicePosition.stop();
    this.declined = false;
    this.found = null;
    this.offer(null);
    this.country.forget();
  }
}

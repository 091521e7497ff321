/** Place of the photo: country field, and confirmation of countries from positions. */

import { countryConfirmation } from "./country_confirmation.js";
import { CountryField } from "./country_field.js";
import { DevicePosition } from "./device_position.js";
import { byId } from "./elements.js";
import { countriesOf } from "./position.js";

/** @typedef {import("./sentences.js").Sentences} Sentences */
/** @typedef {Record<string, number>} Countries - weights by code, the largest first */

export class PlaceForm {
  /**
   * @param {Sentences} sentences
   * @param {(sentence: string) => void} announce - to a screen reader
   */
  constructor(sentences, announce) {
    this.sentences = sentences;
    this.announce = announce;
    this.declined = false; // the country of the photo's position
    /** @type {{countries: Countries, origin: "position"|"device"}|null} */
    this.offered = null;
    this.country = new CountryField(sentences, announce);
    this.devicePosition = new DevicePosition(sentences, announce, {
      started: () => this.offer(null),
      found: (countries) => {
        this.offer({ countries, origin: "device" });
        byId("offer").querySelector("button")?.focus();
      },
    });
  }

  /** @returns {string|null} the country chosen or confirmed by the person */
  get code() {
    return this.country.code;
  }

  /** @returns {boolean} true if the country may come from a photo's position */
  get gps() {
    return !this.country.decided && !this.declined;
  }

  /** @param {Sentences} sentences */
  setSentences(sentences) {
    this.sentences = sentences;
    this.country.setSentences(sentences);
    this.devicePosition.setSentences(sentences);
    if (this.offered) this.offer(this.offered);
  }

  /**
   * Offer the country of the first photo with a position for confirmation.
   *
   * @param {Blob[]} photos - chosen photos; a later call cancels an earlier one
   */
  async read(photos) {
    if (this.offered?.origin === "position") this.offer(null);
    this.photos = photos;
    for (const photo of this.gps ? photos : []) {
      const countries = await countriesOf(photo).catch(() => ({})); // borders not loaded: no offer
      if (this.photos !== photos || !this.gps) return;
      if (Object.keys(countries).length) {
        this.offer({ countries, origin: "position" });
        return;
      }
    }
  }

  /** @param {{countries: Countries, origin: "position"|"device"}|null} offered */
  offer(offered) {
    this.offered = offered;
    const box = byId("offer");
    box.hidden = offered === null;
    box.replaceChildren();
    if (!offered) return;
    const { countries, origin } = offered;
    const confirmation = countryConfirmation(
      countries,
      this.sentences,
      (code) => this.confirm(origin, code),
      origin,
    );
    confirmation.querySelector("p")?.setAttribute("id", "offer-text");
    box.append(confirmation);
    this.announce(confirmation.querySelector("p")?.textContent ?? "");
  }

  /**
   * @param {"position"|"device"} origin
   * @param {string|null} code
   */
  confirm(origin, code) {
    if (origin === "position" || code) this.decide(code);
    this.offer(null);
    byId(code ? "submit" : "country").focus();
  }

  /** @param {string|null} code - the confirmed country; null: the photo's country was declined */
  decide(code) {
    this.country.choose(code);
    this.declined = code === null;
  }

  /** Cancel the search for the device's position when the form is submitted. */
  stop() {
    this.devicePosition.stop();
  }

  forget() {
    this.devicePosition.stop();
    this.country.forget();
    this.declined = false;
    this.offer(null);
  }
}

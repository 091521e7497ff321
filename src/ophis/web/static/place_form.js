/** Where the snake was seen: the country field, and the positions that offer a country for it. */

import { countryConfirmation } from "./country_confirmation.js";
import { CountryField } from "./country_field.js";
import { DevicePosition } from "./device_position.js";
import { byId } from "./elements.js";
import { countriesOf } from "./position.js";

/** @typedef {import("./sentences.js").Words} Words */
/** @typedef {Record<string, number>} Countries - shares by code, the largest first */

export class PlaceForm {
  /**
   * @param {Words} words
   * @param {(sentence: string) => void} announce - to a screen reader
   */
  constructor(words, announce) {
    this.words = words;
    this.announce = announce;
    this.declined = false; // the country that the photo's own position tells
    /** @type {{countries: Countries, whose: "position"|"here"}|null} */
    this.offered = null;
    this.country = new CountryField(words, announce);
    this.devicePosition = new DevicePosition(words, announce, {
      asked: () => this.offer(null),
      found: (countries) => {
        this.offer({ countries, whose: "here" });
        byId("offer").querySelector("button")?.focus();
      },
    });
  }

  /** @returns {string|null} the country that the person confirmed */
  get code() {
    return this.country.code;
  }

  /** @returns {boolean} whether a photo's own position may tell the country */
  get gps() {
    return !this.country.decided && !this.declined;
  }

  /** @param {Words} words */
  rename(words) {
    this.words = words;
    this.country.rename(words);
    this.devicePosition.rename(words);
    if (this.offered) this.offer(this.offered);
  }

  /**
   * Offer the country that the first photo with a position tells.
   *
   * @param {Blob[]} photos - that are asked about; a later call makes an earlier one void
   */
  async read(photos) {
    if (this.offered?.whose === "position") this.offer(null);
    this.photos = photos;
    for (const photo of this.gps ? photos : []) {
      const countries = await countriesOf(photo).catch(() => ({})); // without borders: no offer
      if (this.photos !== photos || !this.gps) return;
      if (Object.keys(countries).length) {
        this.offer({ countries, whose: "position" });
        return;
      }
    }
  }

  /** @param {{countries: Countries, whose: "position"|"here"}|null} offered */
  offer(offered) {
    this.offered = offered;
    const box = byId("offer");
    box.hidden = offered === null;
    box.replaceChildren();
    if (!offered) return;
    const { countries, whose } = offered;
    const made = countryConfirmation(
      countries,
      this.words,
      (code) => this.confirm(whose, code),
      whose,
    );
    made.querySelector("p")?.setAttribute("id", "offer-words");
    box.append(made);
    this.announce(made.querySelector("p")?.textContent ?? "");
  }

  /**
   * @param {"position"|"here"} whose
   * @param {string|null} code
   */
  confirm(whose, code) {
    if (whose === "position" || code) this.decide(code);
    this.offer(null);
    byId(code ? "submit" : "country").focus();
  }

  /** @param {string|null} code - the country that a person confirmed; null: not the photo's */
  decide(code) {
    this.country.choose(code);
    this.declined = code === null;
  }

  /** A question is asked: what is still looked for comes too late. */
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

/** The photos that are asked about: chosen, dropped, pasted or taken, with a way to remove each. */

import { byId, icon, make } from "./elements.js";

/** @typedef {import("./sentences.js").Words} Words */
/** @typedef {{file: Blob, url: string}} Photo */

export class PhotoList {
  /**
   * @param {Words} words
   * @param {{changed: () => void, refused: (sentence: string) => void}} told
   */
  constructor(words, told) {
    this.words = words;
    this.told = told;
    /** @type {Photo[]} */
    this.photos = [];
    this.list = byId("thumbnails");
    this.listen();
  }

  listen() {
    for (const [open, choose] of /** @type {const} */ ([
      ["choose", "files"],
      ["", "capture"],
    ])) {
      const input = /** @type {HTMLInputElement} */ (byId(choose));
      if (open) byId(open).addEventListener("click", () => input.click());
      input.addEventListener("change", () => {
        this.add([...(input.files ?? [])]);
        input.value = ""; // so that the same photo can be chosen again
      });
    }
    const drop = byId("drop");
    // Over the whole page: a photo dropped beside the field would leave the page.
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("dragenter", () => drop.classList.add("over"));
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) drop.classList.remove("over");
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.add([...(event.dataTransfer?.files ?? [])]);
    });
    document.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length) event.preventDefault();
      this.add(files);
    });
  }

  /** @param {Blob[]} files */
  add(files) {
    const wrong = files.filter((file) => file.type && !file.type.startsWith("image/"));
    const photos = files.filter((file) => !wrong.includes(file));
    this.photos.push(...photos.map((file) => ({ file, url: URL.createObjectURL(file) })));
    this.draw();
    if (photos.length) this.told.changed();
    for (const file of wrong) {
      const name = file instanceof File ? file.name : file.type;
      this.told.refused(this.words.say("page", "not_a_photo", { name }));
    }
  }

  /** @param {number} place */
  remove(place) {
    for (const photo of this.photos.splice(place, 1)) URL.revokeObjectURL(photo.url);
    this.draw();
    const next = this.list.children[Math.min(place, this.photos.length - 1)];
    (next?.querySelector("button") ?? byId("choose")).focus();
    this.told.changed();
  }

  clear() {
    for (const photo of this.photos.splice(0)) URL.revokeObjectURL(photo.url);
    this.draw();
  }

  /** @param {Words} words */
  rename(words) {
    this.words = words;
    this.draw();
  }

  draw() {
    this.list.replaceChildren(
      ...this.photos.map((photo, place) => {
        const number = String(place + 1);
        const remove = make("button", {
          type: "button",
          class: "remove",
          "aria-label": this.words.say("page", "photo_remove", { number }),
        });
        remove.append(icon("close"));
        remove.addEventListener("click", () => this.remove(place));
        return make("li", {}, photoImage(photo, number, this.words), remove);
      }),
    );
  }
}

/**
 * @param {Photo} photo
 * @param {string} number
 * @param {Words} words
 * @returns {HTMLElement} the photo, or a word on why it cannot be seen here
 */
export function photoImage(photo, number, words) {
  const shown = make("img", {
    src: photo.url,
    alt: words.say("page", "photo_number", { number }),
  });
  shown.addEventListener("error", () => {
    shown.replaceWith(make("span", { class: "unseen" }, words.say("page", "photo_hidden")));
  });
  return shown;
}

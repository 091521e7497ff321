/** List of chosen, dropped, pasted and taken photos, each with a button to remove it. */

import { byId, icon, make } from "./elements.js";

/** @typedef {import("./sentences.js").Sentences} Sentences */
/** @typedef {{file: Blob, url: string}} Photo */

export class PhotoList {
  /**
   * @param {Sentences} sentences
   * @param {{changed: () => void, rejected: (sentence: string) => void}} callbacks
   */
  constructor(sentences, callbacks) {
    this.sentences = sentences;
    this.callbacks = callbacks;
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
        input.value = ""; // lets the same photo be chosen again
      });
    }
    const drop = byId("drop");
    // On the whole page: a photo dropped elsewhere would replace the page.
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
    if (photos.length) this.callbacks.changed();
    for (const file of wrong) {
      const name = file instanceof File ? file.name : file.type;
      this.callbacks.rejected(this.sentences.text("page", "not_a_photo", { name }));
    }
  }

  /** @param {number} index */
  remove(index) {
    for (const photo of this.photos.splice(index, 1)) URL.revokeObjectURL(photo.url);
    this.draw();
    const next = this.list.children[Math.min(index, this.photos.length - 1)];
    (next?.querySelector("button") ?? byId("choose")).focus();
    this.callbacks.changed();
  }

  clear() {
    for (const photo of this.photos.splice(0)) URL.revokeObjectURL(photo.url);
    this.draw();
  }

  /** @param {Sentences} sentences */
  setSentences(sentences) {
    this.sentences = sentences;
    this.draw();
  }

  draw() {
    this.list.replaceChildren(
      ...this.photos.map((photo, index) => {
        const number = String(index + 1);
        const remove = make("button", {
          type: "button",
          class: "remove",
          "aria-label": this.sentences.text("page", "photo_remove", { number }),
        });
        remove.append(icon("close"));
        remove.addEventListener("click", () => this.remove(index));
        return make("li", {}, photoImage(photo, number, this.sentences), remove);
      }),
    );
  }
}

/**
 * @param {Photo} photo
 * @param {string} number
 * @param {Sentences} sentences
 * @returns {HTMLElement} the photo, or a sentence if the browser cannot show it
 */
export function photoImage(photo, number, sentences) {
  const shown = make("img", {
    src: photo.url,
    alt: sentences.text("page", "photo_number", { number }),
  });
  shown.addEventListener("error", () => {
    shown.replaceWith(make("span", { class: "no-preview" }, sentences.text("page", "no_preview")));
  });
  return shown;
}

// The page's end of worker.js: questions over, answers back.

/** @import { Message } from "./worker.js" */

const SCRIPT = "worker.js";

/** A thread that looks at photos. */
export class WorkerClient {
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();
  #asked = 0;

  constructor() {
    this.worker = started();
    this.worker.addEventListener("message", ({ data: { id, value, error } }) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    });
    this.worker.addEventListener("error", (event) => this.#fail(event.message));
  }

  /**
   * @param {Omit<Message, "id">} message
   * @param {ArrayBuffer[]} [given] what is handed over and no longer here.
   * @returns {Promise<any>}
   */
  ask(message, given = []) {
    const id = this.#asked++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...message }, given);
    });
  }

  close() {
    this.worker.terminate();
    this.#fail("closed");
  }

  /** @param {string} reason */
  #fail(reason) {
    for (const { reject } of this.#waiting.values()) reject(new Error(reason));
    this.#waiting.clear();
  }
}

/** The worker: a file of the page, or, in a page of a single file, a text in it. */
function started() {
  const inside = document.getElementById(SCRIPT)?.textContent;
  if (!inside) return new Worker(new URL(SCRIPT, document.baseURI), { type: "module" });
  const address = URL.createObjectURL(new Blob([inside], { type: "text/javascript" }));
  return new Worker(address);
}

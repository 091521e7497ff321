// Client of worker.js: sends messages and awaits replies.

/** @import { Message } from "./worker.js" */

const SCRIPT = "worker.js";

/** Worker with pending requests by id. */
export class WorkerClient {
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();
  #sent = 0;

  constructor() {
    this.worker = startWorker();
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
   * @param {ArrayBuffer[]} [transferred] buffers that are moved to the worker.
   * @returns {Promise<any>}
   */
  send(message, transferred = []) {
    const id = this.#sent++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...message }, transferred);
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

/** Start the worker from its file, or from the embedded text of a single-file page. */
function startWorker() {
  const embedded = document.getElementById(SCRIPT)?.textContent;
  if (!embedded) return new Worker(new URL(SCRIPT, document.baseURI), { type: "module" });
  const address = URL.createObjectURL(new Blob([embedded], { type: "text/javascript" }));
  return new Worker(address);
}

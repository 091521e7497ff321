// Questions that are answered in this browser: no photo leaves it, and no network is needed.

import { say } from "./answer_lines.js";
import { BackendError } from "./backend_error.js";
import { Decider } from "./decision.js";
import { ensemble } from "./ensemble.js";
import { evidenceOf } from "./evidence.js";
import { readJson, readParts } from "./page_files.js";
import { givenPlace, placeOf } from "./position.js";
import { WorkerClient } from "./worker_client.js";

/** @import { Answer, Backend, Question, Settings } from "./backend.js" */
/** @import { Facts, Failure } from "./decision.js" */
/** @import { Words } from "./answer_lines.js" */
/** @import { Part } from "./page_files.js" */
/** @import { Preprocessing, Crop } from "./preprocessing.js" */
/** @import { Looked } from "./worker.js" */

/**
 * What facts.json holds besides what decides.
 *
 * @typedef {Facts & {images: Preprocessing[], tta: Crop[], runtime: string,
 *   parts: {models: Part[], wasm: Part, prior?: Part}}} LocalFacts
 */

/** @typedef {{decider: Decider, facts: LocalFacts, thread: WorkerClient}} Ready */

const FACTS = "model/facts.json";
/** @type {import("./prior.js").Place} */
const NOWHERE = { shares: [], source: null };

/**
 * @param {Settings} settings
 * @returns {Backend}
 */
export function openLocal(settings) {
  const local = new Local(settings);
  const stored = keep();
  return {
    ask: (question, options) => local.ask(question, options),
    warm: (progress) => local.warm(progress),
    kept: () => stored,
  };
}

/**
 * Have a service worker store the whole page, where the browser lets it.
 *
 * @returns {Promise<boolean>} whether all of it is stored.
 */
async function keep() {
  if (location.protocol === "file:") return true; // all of it stands in the file
  if (!navigator.serviceWorker) return false;
  try {
    await navigator.serviceWorker.register("service_worker.js", { updateViaCache: "none" });
    await navigator.serviceWorker.ready;
    return true;
  } catch {
    return false; // the page works as long as there is a network
  }
}

/** The bundle of this page. */
class Local {
  /** @type {Promise<Ready> | null} */
  #ready = null;
  /** @type {Set<(share: number) => void>} */
  #watching = new Set();

  /** @param {Settings} settings */
  constructor(settings) {
    this.settings = settings;
  }

  /** @param {(share: number) => void} [progress] */
  async warm(progress) {
    if (progress) this.#watching.add(progress);
    const words = await this.#words(document.documentElement.lang);
    await this.#open(words).finally(() => progress && this.#watching.delete(progress));
    progress?.(1);
  }

  /**
   * @param {Question} question
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Answer>}
   */
  async ask(question, { signal } = {}) {
    signal?.throwIfAborted();
    const aborted = new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    return /** @type {Promise<Answer>} */ (Promise.race([this.#answer(question), aborted]));
  }

  /** @param {Question} question */
  async #answer(question) {
    const { languages } = this.settings;
    if (!languages.includes(question.language)) {
      const words = await this.#words("en");
      const there = languages.join(", ");
      const error = `no sentences in language '${question.language}'; choose one of ${there}`;
      throw backendError(422, words, "wrong_input", error);
    }
    const words = await this.#words(question.language);
    const { decider, facts, thread } = await this.#open(words);
    const given = required(question, facts, words);
    const files = await Promise.all(question.photos.map(bytesOf));
    const names = files.map((_, at) => (files.length === 1 ? "photo" : `photo ${at + 1}`));
    const photos = files.map((bytes, at) => ({ name: names[at] ?? "photo", bytes }));
    const found = await this.#looked(thread, { photos, evidence: question.evidence }, words);
    const read = files.filter((_, at) => !("reason" in (found[at] ?? {})));
    const failures = found.flatMap((one) => ("reason" in one ? one : []));
    const looked = found.flatMap((one) => ("reason" in one ? [] : one));
    if (!looked.length) throw noneRead(failures, words);
    const place = given ?? (question.gps ? await placeOf(read) : NOWHERE);
    const seen = looked.map((one) => ensemble(facts.members, one));
    const answer = decider.answer(seen, failures, place, { top: question.top, words });
    if (question.evidence) answer.evidence = evidenceOf(looked, answer, facts);
    return answer;
  }

  /**
   * @param {WorkerClient} thread
   * @param {import("./worker.js").Looking} looking
   * @param {Words} words
   * @returns {Promise<Looked[]>}
   */
  async #looked(thread, looking, words) {
    try {
      return await thread.ask({ look: looking });
    } catch (error) {
      this.#ready = null; // a thread that ran out of memory is of no more use
      thread.close();
      throw backendError(500, words, "model_failed", told(error));
    }
  }

  /**
   * @param {Words} words of refusals.
   * @returns {Promise<Ready>}
   */
  #open(words) {
    this.#ready ??= this.#opened(words).catch((error) => {
      this.#ready = null; // the next one who asks tries again
      throw error;
    });
    return this.#ready;
  }

  /**
   * @param {Words} words
   * @returns {Promise<Ready>}
   */
  async #opened(words) {
    if (!runsWebAssembly()) throw backendError(501, words, "no_webassembly", "");
    const watch = (/** @type {number} */ share) => {
      for (const progress of this.#watching) progress(share);
    };
    /** @type {LocalFacts} */
    const facts = await readJson(FACTS).catch((error) => {
      throw backendError(503, words, "model_missing", told(error));
    });
    const { models, wasm, prior } = facts.parts;
    const wanted = [...models, wasm, ...(prior ? [prior] : [])];
    const parts = await readParts(wanted, watch).catch((error) => {
      const reason = error instanceof RangeError ? "model_damaged" : "model_missing";
      throw backendError(503, words, reason, told(error));
    });
    const of = (/** @type {Part | undefined} */ part) =>
      parts.get(part?.path ?? "")?.buffer ?? new ArrayBuffer(0);
    const { runtime, images, tta } = facts;
    const opening = { runtime, wasm: of(wasm), models: models.map(of), images, tta };
    const thread = new WorkerClient();
    await thread.ask({ open: opening }, [...opening.models, opening.wasm]).catch((error) => {
      thread.close();
      throw backendError(500, words, "model_failed", told(error));
    });
    return { decider: new Decider(facts, new Float64Array(of(prior))), facts, thread };
  }

  /**
   * @param {string} language
   * @returns {Promise<Words>}
   */
  #words(language) {
    const known = this.settings.languages.includes(language) ? language : "en";
    return readJson(`words/${known}.json`);
  }
}

/**
 * Refuse a question that cannot be answered; the place that it gives, or null.
 *
 * @param {Question} question
 * @param {Facts} facts
 * @param {Words} words
 */
function required({ photos, country, top }, facts, words) {
  if (!(Number.isInteger(top) && top >= 1)) {
    throw backendError(422, words, "wrong_input", `top = ${top} should be 1 or more`);
  }
  if (!photos.length) {
    const error = "no photo was given; give one, or several of the same snake";
    throw backendError(422, words, "no_photo", error);
  }
  try {
    return givenPlace(country, facts.countries);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw backendError(422, words, "unknown_country", error.message);
  }
}

/**
 * A file's bytes; none where it cannot be read any more, as after it was deleted.
 *
 * @param {Blob} blob
 */
async function bytesOf(blob) {
  return new Uint8Array(await blob.arrayBuffer().catch(() => new ArrayBuffer(0)));
}

/**
 * None of the photos can be used: why, where it is the same of all.
 *
 * @param {Failure[]} failures
 * @param {Words} words
 */
function noneRead(failures, words) {
  const [code = "", ...others] = new Set(failures.map((failure) => failure.code));
  const error = failures.map((failure) => failure.reason).join("; ");
  return backendError(422, words, others.length ? "unreadable" : code, error);
}

/**
 * @param {number} status
 * @param {Words} words
 * @param {string} reason
 * @param {string} error
 */
function backendError(status, words, reason, error) {
  return new BackendError(status, reason, error, say(words, "advice", "emergency"));
}

/** @param {unknown} error */
function told(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Whether this browser runs WebAssembly with vectors, which onnxruntime-web needs. */
function runsWebAssembly() {
  // A function that gives a vector: (module (func (result v128) i32.const 1 i8x16.splat)).
  const program = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0];
  const body = [10, 8, 1, 6, 0, 65, 1, 253, 15, 11];
  return globalThis.WebAssembly?.validate(new Uint8Array([...program, ...body])) === true;
}

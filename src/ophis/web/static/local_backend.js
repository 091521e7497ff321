// Backend that runs the model in this browser: no photo leaves it, and it works offline.

import { sentence } from "./answer_lines.js";
import { BackendError } from "./backend_error.js";
import { Decider } from "./decision.js";
import { ensemble } from "./ensemble.js";
import { addEvidence } from "./evidence.js";
import { fetchParts, readJson } from "./page_files.js";
import { givenPlace, placeOf, weightsOf } from "./position.js";
import { requireBounds } from "./rule_check.js";
import { knownLanguage } from "./sentences.js";
import { WorkerClient } from "./worker_client.js";

/** @import { Answer, Backend, IdentifyRequest, Settings, Surroundings } from "./backend.js" */
/** @import { Failure } from "./decision.js" */
/** @import { FormPlace } from "./near_section.js" */
/** @import { Place } from "./prior.js" */
/** @import { Facts } from "./row_decision.js" */
/** @import { Sections } from "./answer_lines.js" */
/** @import { Part } from "./page_files.js" */
/** @import { Preprocessing, Crop } from "./preprocessing.js" */
/** @import { SelfTest } from "./self_test.js" */
/** @import { PhotoOutputs } from "./worker.js" */

/**
 * Content of facts.json: the tables for the decision, and the files of the model.
 *
 * @typedef {Facts & {images: Preprocessing[], tta: Crop[], runtime: string,
 *   selftests: (SelfTest | null)[], parts: {models: Part[], wasm: Part, prior?: Part, records?: Part}}} LocalFacts
 */

/** @typedef {{decider: Decider, facts: LocalFacts, worker: WorkerClient}} LoadedBundle */

const FACTS = "model/facts.json";
/** @type {Place} */
const NOWHERE = { weights: [], source: null };

/**
 * @param {Settings} settings
 * @returns {Backend}
 */
export function openLocal(settings) {
  const local = new LocalBackend(settings);
  const stored = storeOffline();
  return {
    identify: (request, options) => local.identify(request, options),
    load: (progress) => local.load(progress),
    availableOffline: () => stored,
    nearby: (place) => local.nearby(place),
  };
}

/**
 * Store the whole page with a service worker, if the browser allows it.
 *
 * @returns {Promise<boolean>} true when everything is stored.
 */
async function storeOffline() {
  if (location.protocol === "file:") return true; // a single file contains everything
  if (!navigator.serviceWorker) return false;
  try {
    await navigator.serviceWorker.register("service_worker.js", { updateViaCache: "none" });
    await navigator.serviceWorker.ready;
    return true;
  } catch {
    return false; // the page works while there is a network
  }
}

/** Backend with the bundle of this page. */
class LocalBackend {
  /** @type {Promise<LoadedBundle> | null} */
  #bundle = null;
  /** @type {Set<(fraction: number) => void>} */
  #listeners = new Set();

  /** @param {Settings} settings */
  constructor(settings) {
    this.settings = settings;
  }

  /** @param {(fraction: number) => void} [progress] */
  async load(progress) {
    if (progress) this.#listeners.add(progress);
    const sections = await this.#sections(document.documentElement.lang);
    await this.#loaded(sections).finally(() => progress && this.#listeners.delete(progress));
    progress?.(1);
  }

  /**
   * @param {IdentifyRequest} request
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Answer>}
   */
  async identify(request, { signal } = {}) {
    signal?.throwIfAborted();
    const aborted = new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    return /** @type {Promise<Answer>} */ (Promise.race([this.#answer(request), aborted]));
  }

  /**
   * @param {FormPlace} where
   * @returns {Promise<Surroundings | null>}
   */
  async nearby({ countries, position }) {
    const { decider, facts } = await this.#loaded(await this.#sections("en"));
    const { prior } = decider.rows;
    /** @type {Place} */
    const place = { weights: weightsOf(countries), source: null, position };
    const nearby = prior?.nearby(place);
    if (!prior || !nearby) return null;
    return { ...nearby, probability: prior.probability(place), species: facts.species };
  }

  /** @param {IdentifyRequest} request */
  async #answer(request) {
    const { languages } = this.settings;
    if (!knownLanguage(request.language, languages)) {
      const sections = await this.#sections("en");
      const available = languages.join(", ");
      const error = `no sentences in language '${request.language}'; choose one of ${available}`;
      throw backendError(422, sections, "wrong_input", error);
    }
    const sections = await this.#sections(request.language);
    const { decider, facts, worker } = await this.#loaded(sections);
    const given = await requireValid(request, facts, sections);
    const files = await Promise.all(request.photos.map(bytesOf));
    const names = files.map((_, i) => (files.length === 1 ? "photo" : `photo ${i + 1}`));
    const photos = files.map((bytes, i) => ({ name: names[i] ?? "photo", bytes }));
    const results = await this.#outputs(worker, { photos, evidence: request.evidence }, sections);
    const read = files.filter((_, i) => !("reason" in (results[i] ?? {})));
    const failures = results.flatMap((one) => ("reason" in one ? one : []));
    const outputs = results.flatMap((one) => ("reason" in one ? [] : one));
    if (!outputs.length) throw noPhotoError(failures, sections);
    const place = given ?? (request.gps ? await placeOf(read) : NOWHERE);
    const scores = outputs.map((one) => ensemble(facts.members, one));
    const answer = decider.answer(scores, failures, place, { top: request.top, sections });
    if (request.evidence) addEvidence(outputs, answer, facts);
    return answer;
  }

  /**
   * @param {WorkerClient} worker
   * @param {import("./worker.js").PhotoBatch} batch
   * @param {Sections} sections
   * @returns {Promise<PhotoOutputs[]>}
   */
  async #outputs(worker, batch, sections) {
    try {
      return await worker.send({ batch });
    } catch (error) {
      this.#bundle = null; // a worker that ran out of memory is unusable
      worker.close();
      throw backendError(500, sections, "model_failed", messageOf(error));
    }
  }

  /**
   * @param {Sections} sections for error messages.
   * @returns {Promise<LoadedBundle>}
   */
  #loaded(sections) {
    this.#bundle ??= this.#load(sections).catch((error) => {
      this.#bundle = null; // the next request tries again
      throw error;
    });
    return this.#bundle;
  }

  /**
   * @param {Sections} sections
   * @returns {Promise<LoadedBundle>}
   */
  async #load(sections) {
    if (!runsWebAssembly()) throw backendError(501, sections, "no_webassembly", "");
    const report = (/** @type {number} */ fraction) => {
      for (const progress of this.#listeners) progress(fraction);
    };
    /** @type {LocalFacts} */
    const facts = await readJson(FACTS).catch((error) => {
      throw backendError(503, sections, "model_missing", messageOf(error));
    });
    try {
      requireBounds(facts);
    } catch (error) {
      throw backendError(503, sections, "model_damaged", messageOf(error));
    }
    const { models, wasm, prior, records } = facts.parts;
    const wanted = [...models, wasm, ...(prior ? [prior] : []), ...(records ? [records] : [])];
    const parts = await fetchParts(wanted, report).catch((error) => {
      const reason = error instanceof RangeError ? "model_damaged" : "model_missing";
      throw backendError(503, sections, reason, messageOf(error));
    });
    const bufferOf = (/** @type {Part | undefined} */ part) =>
      parts.get(part?.path ?? "")?.buffer ?? new ArrayBuffer(0);
    const { runtime, images, tta, selftests } = facts;
    const dangerous = facts.members.map(({ columns }) =>
      columns.filter((_, column) => facts.species[column]?.dangerous),
    );
    const networks = { wasm: bufferOf(wasm), models: models.map(bufferOf) };
    const setup = { runtime, images, tta, selftests, dangerous, ...networks };
    const worker = new WorkerClient();
    const wrong = await worker.send({ setup }, [...setup.models, setup.wasm]).catch((error) => {
      worker.close();
      throw backendError(500, sections, "model_failed", messageOf(error));
    });
    if (wrong) {
      worker.close();
      throw backendError(500, sections, "model_wrong", wrong);
    }
    const table = new Float64Array(bufferOf(prior));
    return { decider: new Decider(facts, table, bufferOf(records)), facts, worker };
  }

  /**
   * @param {string} language
   * @returns {Promise<Sections>}
   */
  #sections(language) {
    const known = knownLanguage(language, this.settings.languages);
    return readJson(`sentences/${known ?? "en"}.json`);
  }
}

/**
 * Check a request; return its place, or null if none is given.
 *
 * @param {IdentifyRequest} request
 * @param {Facts} facts
 * @param {Sections} sections
 */
async function requireValid({ photos, country, at = null, top }, facts, sections) {
  if (!(Number.isInteger(top) && top >= 1)) {
    throw backendError(422, sections, "wrong_input", `top = ${top} should be 1 or more`);
  }
  if (!photos.length) {
    const error = "no photo was given; give one, or several of the same snake";
    throw backendError(422, sections, "no_photo", error);
  }
  try {
    return await givenPlace(country, at, facts.countries);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw backendError(422, sections, "unknown_country", error.message);
  }
}

/**
 * Content of a file; empty if it cannot be read any more, for example after it was deleted.
 *
 * @param {Blob} blob
 */
async function bytesOf(blob) {
  return new Uint8Array(await blob.arrayBuffer().catch(() => new ArrayBuffer(0)));
}

/**
 * Error when no photo can be used, with the common reason of all photos if there is one.
 *
 * @param {Failure[]} failures
 * @param {Sections} sections
 */
function noPhotoError(failures, sections) {
  const [code = "", ...others] = new Set(failures.map((failure) => failure.code));
  const error = failures.map((failure) => failure.reason).join("; ");
  return backendError(422, sections, others.length ? "unreadable" : code, error);
}

/**
 * @param {number} status
 * @param {Sections} sections
 * @param {string} reason
 * @param {string} error
 */
function backendError(status, sections, reason, error) {
  return new BackendError(status, reason, error, sentence(sections, "advice", "emergency"));
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** True if this browser runs WebAssembly with SIMD, which onnxruntime-web needs. */
function runsWebAssembly() {
  // A function that returns a vector: (module (func (result v128) i32.const 1 i8x16.splat)).
  const program = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0];
  const body = [10, 8, 1, 6, 0, 65, 1, 253, 15, 11];
  return globalThis.WebAssembly?.validate(new Uint8Array([...program, ...body])) === true;
}

// Worker that decodes photos and runs the networks, so that the page stays responsive.

import { sha256 } from "./digest.js";
import { Network } from "./network.js";
import { PhotoError } from "./photo_file.js";
import { decode, networkInput, unusableReason } from "./preprocessing.js";
import { difference } from "./self_test.js";

/** @import { Failure } from "./decision.js" */
/** @import { NetworkOutput, Runtime } from "./network.js" */
/** @import { Preprocessing, Crop } from "./preprocessing.js" */
/** @import { SelfTest } from "./self_test.js" */

/**
 * Model of the worker.
 *
 * @typedef {object} Setup
 * @property {string | null} runtime URL of onnxruntime-web's module; null in a single-file page,
 *   where it precedes this script.
 * @property {ArrayBuffer} wasm
 * @property {ArrayBuffer[]} models
 * @property {Preprocessing[]} images preprocessing of each model.
 * @property {Crop[]} tta
 * @property {(SelfTest | null)[]} selftests of each model.
 * @property {number[][]} dangerous columns of dangerous species of each model.
 */

/** @typedef {{photos: {name: string, bytes: Uint8Array<ArrayBuffer>}[], evidence: boolean}} PhotoBatch */

/**
 * Outputs of all networks for a photo, or the reason why it cannot be used.
 *
 * @typedef {{name: string, sha256: string, why: string | null, outputs: NetworkOutput[]} | Failure} PhotoOutputs
 */

/** @typedef {{id: number, setup?: Setup, batch?: PhotoBatch}} Message */

/** @typedef {{networks: Network[], images: Preprocessing[], tta: Crop[]}} Opened */

/** @type {Promise<Opened> | null} */
let networks = null;

/** @param {MessageEvent<Message>} event */
async function respond({ data: { id, setup, batch } }) {
  try {
    if (setup) networks = openNetworks(setup);
    const opened = await networks;
    const wrong = setup && opened ? await firstDifference(opened, setup) : null;
    postMessage({ id, value: batch ? await runBatch(batch) : wrong });
  } catch (error) {
    postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
}

/** @param {Setup} setup */
async function openNetworks({ runtime, wasm, models, images, tta }) {
  /** @type {Runtime} */
  const ort = runtime ? await import(runtime) : Reflect.get(globalThis, "ophisRuntime");
  const opened = [];
  for (const model of models) opened.push(await Network.open(ort, wasm, model));
  return { networks: opened, images, tta };
}

/**
 * @param {Opened} opened
 * @param {Setup} setup
 * @returns {Promise<string | null>} difference of the first network that counts wrong.
 */
async function firstDifference({ networks: opened, images }, { selftests, dangerous }) {
  for (const [number, network] of opened.entries()) {
    const [test, preprocessing] = [selftests[number], images[number]];
    if (!test || !preprocessing) continue;
    const found = await difference(network, preprocessing, test, dangerous[number] ?? []);
    if (found) return found;
  }
  return null;
}

/**
 * Run photos one after the other, because each may fill much of a phone's memory.
 *
 * @param {PhotoBatch} batch
 * @returns {Promise<PhotoOutputs[]>}
 */
async function runBatch({ photos, evidence }) {
  const results = [];
  for (const { name, bytes } of photos) {
    try {
      results.push({
        name,
        sha256: await sha256(bytes),
        ...(await runPhoto(bytes, name, evidence)),
      });
    } catch (error) {
      if (!(error instanceof PhotoError)) throw error;
      results.push({ photo_id: name, reason: error.message, code: error.code });
    }
  }
  return results;
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {string} name
 * @param {boolean} evidence
 */
async function runPhoto(bytes, name, evidence) {
  if (!networks) throw new Error("no network was opened");
  const { networks: opened, images, tta } = await networks;
  const photo = await decode(bytes, name);
  try {
    const why = unusableReason(photo);
    const outputs = [];
    for (const [number, network] of opened.entries()) {
      const preprocessing = /** @type {Preprocessing} */ (images[number]);
      outputs.push(
        await network.run(networkInput(photo, preprocessing, tta), preprocessing.pixels, evidence),
      );
    }
    return { why, outputs };
  } finally {
    photo.close();
  }
}

addEventListener("message", respond);

// The thread that looks at photos, so that the page stays alive meanwhile: files in, logits out.

import { sha256 } from "./digest.js";
import { Network } from "./network.js";
import { PhotoError } from "./photo_file.js";
import { decoded, networkInput, unusableReason } from "./preprocessing.js";

/** @import { Failure } from "./decision.js" */
/** @import { Look, Runtime } from "./network.js" */
/** @import { Preprocessing, Crop } from "./preprocessing.js" */

/**
 * What is needed to look at photos. Of `runtime`, null is what stands before this script, in a page
 * of a single file.
 *
 * @typedef {object} Opening
 * @property {string | null} runtime address of onnxruntime-web's module.
 * @property {ArrayBuffer} wasm
 * @property {ArrayBuffer[]} models
 * @property {Preprocessing[]} images of each.
 * @property {Crop[]} tta
 */

/** @typedef {{photos: {name: string, bytes: Uint8Array<ArrayBuffer>}[], evidence: boolean}} Looking */

/**
 * A photo that was looked at by each network, or why it could not be.
 *
 * @typedef {{name: string, sha256: string, why: string | null, looks: Look[]} | Failure} Looked
 */

/** @typedef {{id: number, open?: Opening, look?: Looking}} Message */

/** @type {Promise<{networks: Network[], images: Preprocessing[], tta: Crop[]}> | null} */
let opened = null;

/** @param {MessageEvent<Message>} event */
async function answer({ data: { id, open, look } }) {
  try {
    if (open) opened = opening(open);
    await opened;
    postMessage({ id, value: look ? await lookAt(look) : null });
  } catch (error) {
    postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
}

/** @param {Opening} opening */
async function opening({ runtime, wasm, models, images, tta }) {
  /** @type {Runtime} */
  const ort = runtime ? await import(runtime) : Reflect.get(globalThis, "ophisRuntime");
  const networks = [];
  for (const model of models) networks.push(await Network.open(ort, wasm, model));
  return { networks, images, tta };
}

/**
 * One photo after the other: each may fill much of a phone's memory.
 *
 * @param {Looking} looking
 * @returns {Promise<Looked[]>}
 */
async function lookAt({ photos, evidence }) {
  const found = [];
  for (const { name, bytes } of photos) {
    try {
      found.push({ name, sha256: await sha256(bytes), ...(await look(bytes, name, evidence)) });
    } catch (error) {
      if (!(error instanceof PhotoError)) throw error;
      found.push({ photo_id: name, reason: error.message, code: error.code });
    }
  }
  return found;
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {string} name
 * @param {boolean} evidence
 */
async function look(bytes, name, evidence) {
  if (!opened) throw new Error("no network was opened");
  const { networks, images, tta } = await opened;
  const photo = await decoded(bytes, name);
  try {
    const why = unusableReason(photo);
    const looks = [];
    for (const [number, network] of networks.entries()) {
      const own = /** @type {Preprocessing} */ (images[number]);
      looks.push(await network.look(networkInput(photo, own, tta), own.pixels, evidence));
    }
    return { why, looks };
  } finally {
    photo.close();
  }
}

addEventListener("message", answer);

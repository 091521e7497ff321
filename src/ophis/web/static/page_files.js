// The files of this page that answer: read, watched while they come, and checked.

import { sha256 } from "./digest.js";

/** @typedef {{path: string, bytes: number, sha256: string}} Part */

/**
 * A JSON file of the page.
 *
 * @param {string} path
 */
export async function readJson(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: status ${response.status}`);
  return response.json();
}

/**
 * Files of known sizes and digests, by their paths.
 *
 * @param {Part[]} parts
 * @param {(share: number) => void} progress
 * @returns {Promise<Map<string, Uint8Array<ArrayBuffer>>>}
 * @throws {RangeError} when one was cut short or changed.
 * @throws {Error} when one cannot be had.
 */
export async function readParts(parts, progress) {
  const all = parts.reduce((sum, part) => sum + part.bytes, 0);
  let come = 0;
  const found = await Promise.all(
    parts.map(async (part) => {
      const bytes = await readPart(part, (more) => {
        come += more;
        progress(all ? come / all : 1);
      });
      return /** @type {const} */ ([part.path, bytes]);
    }),
  );
  return new Map(found);
}

/**
 * @param {Part} part
 * @param {(bytes: number) => void} come called with what has come since the last call.
 */
async function readPart(part, come) {
  const response = await fetch(part.path);
  if (!response.ok || !response.body) throw new Error(`${part.path}: status ${response.status}`);
  const bytes = new Uint8Array(part.bytes);
  const reader = response.body.getReader();
  let length = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    if (length + next.value.length > bytes.length) throw new RangeError(`${part.path}: too long`);
    bytes.set(next.value, length);
    length += next.value.length;
    come(next.value.length);
  }
  if (length < bytes.length) throw new RangeError(`${part.path}: cut short`);
  if ((await sha256(bytes)) !== part.sha256) throw new RangeError(`${part.path}: changed`);
  return bytes;
}

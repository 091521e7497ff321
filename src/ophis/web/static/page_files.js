// Files of the page: fetched with progress, verified by size and digest.

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
 * Fetch files of known size and digest.
 *
 * @param {Part[]} parts
 * @param {(fraction: number) => void} progress
 * @returns {Promise<Map<string, Uint8Array<ArrayBuffer>>>} content by path.
 * @throws {RangeError} when a file is truncated or changed.
 * @throws {Error} when a file cannot be fetched.
 */
export async function fetchParts(parts, progress) {
  const all = parts.reduce((sum, part) => sum + part.bytes, 0);
  let received = 0;
  const found = await Promise.all(
    parts.map(async (part) => {
      const bytes = await fetchPart(part, (more) => {
        received += more;
        progress(all ? received / all : 1);
      });
      return /** @type {const} */ ([part.path, bytes]);
    }),
  );
  return new Map(found);
}

/**
 * @param {Part} part
 * @param {(bytes: number) => void} count called with the number of bytes since the last call.
 */
async function fetchPart(part, count) {
  const response = await fetch(part.path);
  if (!response.ok || !response.body) throw new Error(`${part.path}: status ${response.status}`);
  const bytes = new Uint8Array(part.bytes);
  const reader = response.body.getReader();
  let length = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    if (length + next.value.length > bytes.length) throw new RangeError(`${part.path}: too long`);
    bytes.set(next.value, length);
    length += next.value.length;
    count(next.value.length);
  }
  if (length < bytes.length) throw new RangeError(`${part.path}: truncated`);
  if ((await sha256(bytes)) !== part.sha256) throw new RangeError(`${part.path}: changed`);
  return bytes;
}

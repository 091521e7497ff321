/** Matching of chosen photos to the photos of an answer. */

import { sha256 } from "./digest.js";

/** @typedef {import("./backend.js").Answer} Answer */

/**
 * @param {Answer} answer
 * @param {Blob[]} photos
 * @returns {Promise<number[]>} index of each photo in the answer, -1 if it could not be read
 */
export async function matchPhotos(answer, photos) {
  const known = answer.photos.map((photo) => photo.sha256);
  if (known.length === photos.length) return photos.map((_, index) => index);
  const bytes = await Promise.all(photos.map((photo) => photo.arrayBuffer()));
  const digests = await Promise.all(bytes.map((each) => sha256(new Uint8Array(each))));
  return digests.map((each) => known.indexOf(each));
}

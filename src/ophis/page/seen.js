/** Which of an answer's photos is which of those that were asked about. */

/** @typedef {import("./answerer.js").Answer} Answer */

/**
 * @param {Answer} answer
 * @param {Blob[]} photos
 * @returns {Promise<number[]>} for each photo its place in the answer, -1 where it was not read
 */
export async function placesOf(answer, photos) {
  const known = answer.photos.map((photo) => photo.sha256);
  if (known.length === photos.length) return photos.map((_, place) => place);
  if (!crypto.subtle) return photos.map(() => -1); // a page from afar without encryption
  const digests = await Promise.all(photos.map(digest));
  return digests.map((each) => known.indexOf(each));
}

/**
 * @param {Blob} photo
 * @returns {Promise<string>} its sha256 in hexadecimal
 */
async function digest(photo) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", await photo.arrayBuffer()));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Pillow's antialiased resize, with its very pixels: see ophis/resampling.py, which this follows.

const BITS = 22; // of a weight's fraction: with 8 of a byte and 2 to spare they fill 32
const HALF = 1 << (BITS - 1);
const STRIP_PIXELS = 2 ** 20; // of a photo that are taken out of it at a time

/**
 * A filter of Pillow: how far it reaches, and its value at a distance.
 *
 * @typedef {{support: number, at: (distance: number) => number}} Filter
 */

/** @type {Filter} */
export const BILINEAR = { support: 1, at: (x) => Math.max(1 - Math.abs(x), 0) };
/** @type {Filter} */
export const BOX = { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };

/**
 * Pixels that can be had part by part: [rows, columns, channels] bytes.
 *
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {number} channels
 * @property {(left: number, top: number, width: number, height: number) =>
 *   Uint8Array | Uint8ClampedArray} part
 */

/**
 * Of what each place along a side is the sum: `count` neighbours from `first` on.
 *
 * @typedef {{first: Int32Array, count: Int32Array, values: Int32Array, most: number}} Weights
 */

/**
 * Pillow's weights from `size` pixels to `places`.
 *
 * @param {number} size
 * @param {number} places
 * @param {Filter} filter
 * @returns {Weights}
 */
export function weights(size, places, filter) {
  const scale = size / places;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(places);
  const count = new Int32Array(places);
  const values = new Int32Array(places * most);
  const shares = new Float64Array(most);
  for (let place = 0; place < places; place++) {
    const centre = (place + 0.5) * scale;
    const from = Math.max(Math.trunc(centre - support + 0.5), 0);
    const neighbours = Math.min(Math.trunc(centre + support + 0.5), size) - from;
    let total = 0;
    for (let n = 0; n < neighbours; n++) {
      const share = filter.at((n + from - centre + 0.5) * (1 / stretch));
      shares[n] = share;
      total += share;
    }
    for (let n = 0; n < neighbours; n++) {
      const share = /** @type {number} */ (shares[n]);
      values[place * most + n] = Math.trunc((share / total) * 2 ** BITS + 0.5);
    }
    first[place] = from;
    count[place] = neighbours;
  }
  return { first, count, values, most };
}

/**
 * A picture resize to a square: [side, side, channels] bytes.
 *
 * @param {Picture} picture
 * @param {number} side
 * @param {Filter} filter
 */
export function resize(picture, side, filter) {
  const { width, height, channels } = picture;
  // As Pillow does since version 13: a tall picture loses its rows first.
  const tall = height > side && height - side > 2 * (width - side);
  if (tall) return columns(rows(picture, side, filter), side, side, channels, filter);
  const narrow = new Uint8Array(height * side * channels);
  const strip = Math.max(1, Math.floor(STRIP_PIXELS / width));
  for (let top = 0; top < height; top += strip) {
    const here = Math.min(strip, height - top);
    const part = picture.part(0, top, width, here);
    narrow.set(columns(part, here, side, channels, filter), top * side * channels);
  }
  return along(narrow, height, side * channels, side, filter);
}

/**
 * The rows of a picture resize: [side, width, channels].
 *
 * @param {Picture} picture
 * @param {number} side
 * @param {Filter} filter
 */
function rows(picture, side, filter) {
  const { width, height, channels } = picture;
  const low = new Uint8Array(side * width * channels);
  const strip = Math.max(1, Math.floor(STRIP_PIXELS / height));
  for (let left = 0; left < width; left += strip) {
    const here = Math.min(strip, width - left);
    const part = along(picture.part(left, 0, here, height), height, here * channels, side, filter);
    for (let row = 0; row < side; row++) {
      const own = part.subarray(row * here * channels, (row + 1) * here * channels);
      low.set(own, (row * width + left) * channels);
    }
  }
  return low;
}

/**
 * The first axis resize: [size, across] bytes to [places, across].
 *
 * @param {Uint8Array | Uint8ClampedArray} bytes
 * @param {number} size
 * @param {number} across
 * @param {number} places
 * @param {Filter} filter
 */
function along(bytes, size, across, places, filter) {
  if (size === places) return bytes;
  const { first, count, values, most } = weights(size, places, filter);
  const out = new Uint8ClampedArray(places * across);
  const sums = new Int32Array(across);
  for (let place = 0; place < places; place++) {
    sums.fill(HALF);
    const neighbours = /** @type {number} */ (count[place]);
    const from = /** @type {number} */ (first[place]);
    for (let n = 0; n < neighbours; n++) {
      const weight = /** @type {number} */ (values[place * most + n]);
      const start = (from + n) * across;
      for (let i = 0; i < across; i++) {
        const more = Math.imul(/** @type {number} */ (bytes[start + i]), weight);
        sums[i] = /** @type {number} */ (sums[i]) + more;
      }
    }
    const start = place * across;
    for (let i = 0; i < across; i++) out[start + i] = /** @type {number} */ (sums[i]) >> BITS;
  }
  return out;
}

/**
 * The second axis resize: [height, width, channels] bytes to [height, places, channels].
 *
 * @param {Uint8Array | Uint8ClampedArray} bytes
 * @param {number} height
 * @param {number} places
 * @param {number} channels
 * @param {Filter} filter
 */
function columns(bytes, height, places, channels, filter) {
  const width = bytes.length / height / channels;
  if (width === places) return bytes;
  const { first, count, values, most } = weights(width, places, filter);
  const out = new Uint8ClampedArray(height * places * channels);
  for (let row = 0; row < height; row++) {
    for (let place = 0; place < places; place++) {
      const from = (row * width + /** @type {number} */ (first[place])) * channels;
      const neighbours = /** @type {number} */ (count[place]);
      for (let channel = 0; channel < channels; channel++) {
        let sum = HALF;
        for (let n = 0; n < neighbours; n++) {
          const byte = /** @type {number} */ (bytes[from + n * channels + channel]);
          sum += Math.imul(byte, /** @type {number} */ (values[place * most + n]));
        }
        out[(row * places + place) * channels + channel] = sum >> BITS;
      }
    }
  }
  return out;
}

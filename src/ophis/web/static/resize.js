// The page's resize: Pillow's antialiased resampling, with identical pixels.

const BITS = 22; // fractional bits of a weight; 8 bits of a byte and 2 spare bits make 32
const HALF = 1 << (BITS - 1);
const STRIP_PIXELS = 2 ** 20; // pixels of a photo processed at a time

/**
 * Filter of Pillow: half-width, and value at a distance.
 *
 * @typedef {{support: number, at: (distance: number) => number}} Filter
 */

/** @type {Filter} */
export const BILINEAR = { support: 1, at: (x) => Math.max(1 - Math.abs(x), 0) };
/** @type {Filter} */
export const BOX = { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };

/**
 * Image whose parts can be read: [rows, columns, channels] bytes.
 *
 * @typedef {object} Image
 * @property {number} width
 * @property {number} height
 * @property {number} channels
 * @property {(left: number, top: number, width: number, height: number) =>
 *   Uint8Array | Uint8ClampedArray} part
 */

/**
 * Weights of each output pixel along a side: `count` input pixels from `first` on.
 *
 * @typedef {{first: Int32Array, count: Int32Array, values: Int32Array, most: number}} Weights
 */

/**
 * Pillow's weights from `size` to `outputs` pixels.
 *
 * @param {number} size
 * @param {number} outputs
 * @param {Filter} filter
 * @returns {Weights}
 */
export function weights(size, outputs, filter) {
  const scale = size / outputs;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outputs);
  const count = new Int32Array(outputs);
  const values = new Int32Array(outputs * most);
  const raw = new Float64Array(most);
  for (let output = 0; output < outputs; output++) {
    const centre = (output + 0.5) * scale;
    const from = Math.max(Math.trunc(centre - support + 0.5), 0);
    const taps = Math.min(Math.trunc(centre + support + 0.5), size) - from;
    let total = 0;
    for (let n = 0; n < taps; n++) {
      const value = filter.at((n + from - centre + 0.5) * (1 / stretch));
      raw[n] = value;
      total += value;
    }
    for (let n = 0; n < taps; n++) {
      const value = /** @type {number} */ (raw[n]);
      values[output * most + n] = Math.trunc((value / total) * 2 ** BITS + 0.5);
    }
    first[output] = from;
    count[output] = taps;
  }
  return { first, count, values, most };
}

/**
 * Resize an image to a square: [side, side, channels] bytes.
 *
 * @param {Image} image
 * @param {number} side
 * @param {Filter} filter
 */
export function resize(image, side, filter) {
  const { width, height, channels } = image;
  // As Pillow since version 13: the rows of a tall image are resized first.
  const tall = height > side && height - side > 2 * (width - side);
  if (tall) return columns(rows(image, side, filter), side, side, channels, filter);
  const narrow = new Uint8Array(height * side * channels);
  const strip = Math.max(1, Math.floor(STRIP_PIXELS / width));
  for (let top = 0; top < height; top += strip) {
    const extent = Math.min(strip, height - top);
    const part = image.part(0, top, width, extent);
    narrow.set(columns(part, extent, side, channels, filter), top * side * channels);
  }
  return along(narrow, height, side * channels, side, filter);
}

/**
 * Resize the rows of an image: [side, width, channels].
 *
 * @param {Image} image
 * @param {number} side
 * @param {Filter} filter
 */
function rows(image, side, filter) {
  const { width, height, channels } = image;
  const low = new Uint8Array(side * width * channels);
  const strip = Math.max(1, Math.floor(STRIP_PIXELS / height));
  for (let left = 0; left < width; left += strip) {
    const extent = Math.min(strip, width - left);
    const part = along(
      image.part(left, 0, extent, height),
      height,
      extent * channels,
      side,
      filter,
    );
    for (let row = 0; row < side; row++) {
      const own = part.subarray(row * extent * channels, (row + 1) * extent * channels);
      low.set(own, (row * width + left) * channels);
    }
  }
  return low;
}

/**
 * Resize along the first axis: [size, across] bytes to [outputs, across].
 *
 * @param {Uint8Array | Uint8ClampedArray} bytes
 * @param {number} size
 * @param {number} across
 * @param {number} outputs
 * @param {Filter} filter
 */
function along(bytes, size, across, outputs, filter) {
  if (size === outputs) return bytes;
  const { first, count, values, most } = weights(size, outputs, filter);
  const out = new Uint8ClampedArray(outputs * across);
  const sums = new Int32Array(across);
  for (let output = 0; output < outputs; output++) {
    sums.fill(HALF);
    const taps = /** @type {number} */ (count[output]);
    const from = /** @type {number} */ (first[output]);
    for (let n = 0; n < taps; n++) {
      const weight = /** @type {number} */ (values[output * most + n]);
      const start = (from + n) * across;
      for (let i = 0; i < across; i++) {
        const more = Math.imul(/** @type {number} */ (bytes[start + i]), weight);
        sums[i] = /** @type {number} */ (sums[i]) + more;
      }
    }
    const start = output * across;
    for (let i = 0; i < across; i++) out[start + i] = /** @type {number} */ (sums[i]) >> BITS;
  }
  return out;
}

/**
 * Resize along the second axis: [height, width, channels] bytes to [height, outputs, channels].
 *
 * @param {Uint8Array | Uint8ClampedArray} bytes
 * @param {number} height
 * @param {number} outputs
 * @param {number} channels
 * @param {Filter} filter
 */
function columns(bytes, height, outputs, channels, filter) {
  const width = bytes.length / height / channels;
  if (width === outputs) return bytes;
  const { first, count, values, most } = weights(width, outputs, filter);
  const out = new Uint8ClampedArray(height * outputs * channels);
  for (let row = 0; row < height; row++) {
    for (let output = 0; output < outputs; output++) {
      const from = (row * width + /** @type {number} */ (first[output])) * channels;
      const taps = /** @type {number} */ (count[output]);
      for (let channel = 0; channel < channels; channel++) {
        let sum = HALF;
        for (let n = 0; n < taps; n++) {
          const byte = /** @type {number} */ (bytes[from + n * channels + channel]);
          sum += Math.imul(byte, /** @type {number} */ (values[output * most + n]));
        }
        out[(row * outputs + output) * channels + channel] = sum >> BITS;
      }
    }
  }
  return out;
}

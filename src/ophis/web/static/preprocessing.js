// A photo as the network sees it: as ophis/images computes it, with the same bytes.

import { orientationOf, withoutTurn } from "./exif.js";
import { kindOf, MOST_BYTES, PhotoError, requireSize, requireStill, sizeOf } from "./photo_file.js";
import { BILINEAR, BOX, resize } from "./resize.js";

/** @import { Picture } from "./resize.js" */

const USABLE_SIDE = 64; // pixels; with fewer a snake may be seen, but not told from others
const LEAST_CONTRAST = 12; // of 255, between the darkest and the lightest twentieth of a photo

/**
 * images.json.
 *
 * @typedef {{pixels: number, mean: number[], std: number[]}} Preprocessing
 */

/**
 * A window of an upright photo, in fractions of its sides; see ophis/images/test_time_augmentation.py.
 *
 * @typedef {{left: number, top: number, fraction: number, mirrored: boolean}} Crop
 */

/**
 * An upright photo, whose `part` gives RGB.
 *
 * @typedef {Picture & {close: () => void}} Photo
 */

/**
 * @param {Uint8Array<ArrayBuffer>} bytes of the file.
 * @param {string} name of the photo, in refusals.
 * @returns {Promise<Photo>}
 * @throws {PhotoError} as `ophis.images.decode` does, and for a HEIC that this browser cannot open.
 */
export async function decoded(bytes, name) {
  if (bytes.length > MOST_BYTES) {
    const most = MOST_BYTES / 2 ** 20;
    throw new PhotoError("too_large", `${name}: larger than ${most} MiB; send a smaller photo`);
  }
  const kind = kindOf(bytes, name);
  requireStill(bytes, kind, name);
  const size = sizeOf(bytes, kind);
  if (size) requireSize(...size, name);
  // Browsers turn JPEG and PNG as their EXIF says; of WebP each thinks otherwise.
  const turn = kind === "webp" ? orientationOf(bytes) : 1;
  const bitmap = await createImageBitmap(new Blob([turn > 1 ? withoutTurn(bytes) : bytes]), {
    imageOrientation: "from-image",
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  }).catch(() => {
    const [code, told] = unreadable(kind);
    throw new PhotoError(code, `${name}: ${told}`);
  });
  requireSize(bitmap.width, bitmap.height, name);
  return upright(bitmap, turn);
}

/**
 * @param {string} kind
 * @returns {[code: string, told: string]}
 */
function unreadable(kind) {
  if (kind !== "heif") return ["damaged", "damaged or cut short; send the photo again"];
  const told = "this browser cannot open HEIC and AVIF photos; send a JPEG, PNG or WebP photo";
  return ["other_format", told];
}

/**
 * @param {ImageBitmap} bitmap
 * @param {number} turn of EXIF, 1 to 8, that is still to be made.
 * @returns {Photo}
 */
function upright(bitmap, turn) {
  const [w, h] = [bitmap.width, bitmap.height];
  const [width, height] = turn > 4 ? [h, w] : [w, h];
  // Where the stored pixel (x, y) goes: a x + c y + e, b x + d y + f.
  /** @type {[number, number, number, number, number, number][]} */
  const turns = [
    [1, 0, 0, 1, 0, 0],
    [-1, 0, 0, 1, w, 0],
    [-1, 0, 0, -1, w, h],
    [1, 0, 0, -1, 0, h],
    [0, 1, 1, 0, 0, 0],
    [0, 1, -1, 0, h, 0],
    [0, -1, -1, 0, h, w],
    [0, -1, 1, 0, 0, w],
  ];
  const [a, b, c, d, e, f] = turns[turn - 1] ?? [1, 0, 0, 1, 0, 0];
  const part = (/** @type {number[]} */ ...[left = 0, top = 0, across = 0, down = 0]) => {
    const canvas = new OffscreenCanvas(across, down);
    const drawn = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    if (!drawn) {
      throw new PhotoError("model_failed", "this browser has no memory left; close other pages");
    }
    drawn.imageSmoothingEnabled = false;
    drawn.fillStyle = "#fff"; // transparent pixels are laid over white
    drawn.fillRect(0, 0, across, down);
    drawn.setTransform(a, b, c, d, e - left, f - top);
    drawn.drawImage(bitmap, 0, 0);
    return threeOfFour(drawn.getImageData(0, 0, across, down).data);
  };
  return { width, height, channels: 3, part, close: () => bitmap.close() };
}

/** @param {Uint8ClampedArray} rgba */
function threeOfFour(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = /** @type {number} */ (rgba[from]);
    rgb[to + 1] = /** @type {number} */ (rgba[from + 1]);
    rgb[to + 2] = /** @type {number} */ (rgba[from + 2]);
  }
  return rgb;
}

/**
 * Why nobody should be told a name from a photo; null: usable. See `ophis.images.unusable`.
 *
 * @param {Picture} photo
 * @returns {"small" | "flat" | null}
 */
export function unusableReason(photo) {
  if (Math.min(photo.width, photo.height) < USABLE_SIDE) return "small";
  const grey = {
    width: photo.width,
    height: photo.height,
    channels: 1,
    part: (/** @type {[number, number, number, number]} */ ...window) =>
      greyOf(photo.part(...window)),
  };
  const values = resize(grey, USABLE_SIDE, BOX).slice().sort();
  return percentile(values, 95) - percentile(values, 5) < LEAST_CONTRAST ? "flat" : null;
}

/**
 * Brightness as Pillow has it (ITU-R 601-2), in whole numbers.
 *
 * @param {Uint8Array | Uint8ClampedArray} rgb
 */
function greyOf(rgb) {
  const grey = new Uint8Array(rgb.length / 3);
  for (let place = 0, from = 0; place < grey.length; place++, from += 3) {
    const red = /** @type {number} */ (rgb[from]);
    const green = /** @type {number} */ (rgb[from + 1]);
    const blue = /** @type {number} */ (rgb[from + 2]);
    grey[place] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
  }
  return grey;
}

/**
 * NumPy's percentile, between neighbours in proportion.
 *
 * @param {ArrayLike<number>} sorted
 * @param {number} percent
 */
function percentile(sorted, percent) {
  const place = (sorted.length - 1) * (percent / 100);
  const low = Math.floor(place);
  const [below = 0, above = 0] = [sorted[low], sorted[Math.min(low + 1, sorted.length - 1)]];
  return below + (above - below) * (place - low);
}

/**
 * A photo as the network sees it: [crops, 3, pixels, pixels].
 *
 * @param {Picture} photo
 * @param {Preprocessing} preprocessing
 * @param {Crop[]} tta
 */
export function networkInput(photo, preprocessing, tta) {
  const side = preprocessing.pixels;
  const values = new Float32Array(tta.length * 3 * side * side);
  const table = byteTable(preprocessing);
  tta.forEach((crop, number) => {
    const square = resize(windowOf(photo, crop), side, BILINEAR);
    const start = number * 3 * side * side;
    normalise(square, table, side, crop.mirrored, values.subarray(start));
  });
  return values;
}

/**
 * The pixels of a crop, its edges rounded to whole pixels.
 *
 * @param {Picture} photo
 * @param {Crop} crop
 * @returns {Picture}
 */
function windowOf(photo, crop) {
  if (crop.fraction === 1) return photo;
  const edge = (/** @type {number} */ fraction, /** @type {number} */ side) =>
    Math.floor(fraction * side + 0.5);
  const left = edge(crop.left, photo.width);
  const top = edge(crop.top, photo.height);
  const right = Math.max(edge(crop.left + crop.fraction, photo.width), left + 1);
  const bottom = Math.max(edge(crop.top + crop.fraction, photo.height), top + 1);
  return {
    width: right - left,
    height: bottom - top,
    channels: photo.channels,
    part: (x, y, width, height) => photo.part(left + x, top + y, width, height),
  };
}

/**
 * The value of each byte in each channel, [3, 256]: computed in float64 and rounded once.
 *
 * @param {Preprocessing} preprocessing
 */
export function byteTable({ mean, std }) {
  return Float32Array.from({ length: 3 * 256 }, (_, place) => {
    const channel = place >> 8;
    return ((place & 255) / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1);
  });
}

/**
 * Bytes [side, side, 3] to numbers [3, side, side].
 *
 * @param {ArrayLike<number>} square
 * @param {Float32Array} table
 * @param {number} side
 * @param {boolean} mirrored
 * @param {Float32Array} out
 */
function normalise(square, table, side, mirrored, out) {
  for (let channel = 0; channel < 3; channel++) {
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        const from = row * side + (mirrored ? side - 1 - column : column);
        const byte = /** @type {number} */ (square[from * 3 + channel]);
        out[(channel * side + row) * side + column] = /** @type {number} */ (
          table[channel * 256 + byte]
        );
      }
    }
  }
}

// Decoding and preprocessing of photos; JavaScript version of ophis/images, with equal pixels.

import { orientationOf, withoutOrientation } from "./exif.js";
import { kindOf, MOST_BYTES, PhotoError, requireSize, requireStill, sizeOf } from "./photo_file.js";
import { BILINEAR, BOX, resize } from "./resize.js";

/** @import { Image } from "./resize.js" */

const USABLE_SIDE = 64; // pixels; below it species cannot be distinguished
const LEAST_CONTRAST = 12; // of 255, between the 5th and 95th percentile of brightness

/**
 * Preprocessing of a network.
 *
 * @typedef {{pixels: number, mean: number[], std: number[]}} Preprocessing
 */

/**
 * Crop of an upright photo, in fractions of its sides; see ophis/images/test_time_augmentation.py.
 *
 * @typedef {{left: number, top: number, fraction: number, mirrored: boolean}} Crop
 */

/**
 * Upright photo, whose `part` returns RGB.
 *
 * @typedef {Image & {close: () => void}} Photo
 */

/**
 * @param {Uint8Array<ArrayBuffer>} bytes of the file.
 * @param {string} name of the photo, for error messages.
 * @returns {Promise<Photo>}
 * @throws {PhotoError} as `decode` in ophis/images, and for HEIC that this browser cannot decode.
 */
export async function decode(bytes, name) {
  if (bytes.length > MOST_BYTES) {
    const most = MOST_BYTES / 2 ** 20;
    throw new PhotoError("too_large", `${name}: larger than ${most} MiB; send a smaller photo`);
  }
  const kind = kindOf(bytes, name);
  requireStill(bytes, kind, name);
  const size = sizeOf(bytes, kind);
  if (size) requireSize(...size, name);
  // All browsers apply the EXIF orientation of JPEG and PNG, but only some that of WebP.
  const orientation = kind === "webp" ? orientationOf(bytes) : 1;
  const bitmap = await createImageBitmap(
    new Blob([orientation > 1 ? withoutOrientation(bytes) : bytes]),
    {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    },
  ).catch(() => {
    const [code, cause] = unreadable(kind);
    throw new PhotoError(code, `${name}: ${cause}`);
  });
  requireSize(bitmap.width, bitmap.height, name);
  return upright(bitmap, orientation);
}

/**
 * @param {string} kind
 * @returns {[code: string, cause: string]}
 */
function unreadable(kind) {
  if (kind !== "heif") return ["damaged", "damaged or cut short; send the photo again"];
  const cause = "this browser cannot open HEIC and AVIF photos; send a JPEG, PNG or WebP photo";
  return ["other_format", cause];
}

/**
 * @param {ImageBitmap} bitmap
 * @param {number} orientation EXIF orientation, 1 to 8, still to be applied.
 * @returns {Photo}
 */
function upright(bitmap, orientation) {
  const [w, h] = [bitmap.width, bitmap.height];
  const [width, height] = orientation > 4 ? [h, w] : [w, h];
  // The stored pixel (x, y) moves to (a x + c y + e, b x + d y + f).
  /** @type {[number, number, number, number, number, number][]} */
  const transforms = [
    [1, 0, 0, 1, 0, 0],
    [-1, 0, 0, 1, w, 0],
    [-1, 0, 0, -1, w, h],
    [1, 0, 0, -1, 0, h],
    [0, 1, 1, 0, 0, 0],
    [0, 1, -1, 0, h, 0],
    [0, -1, -1, 0, h, w],
    [0, -1, 1, 0, 0, w],
  ];
  const [a, b, c, d, e, f] = transforms[orientation - 1] ?? [1, 0, 0, 1, 0, 0];
  const part = (/** @type {number[]} */ ...[left = 0, top = 0, across = 0, down = 0]) => {
    const canvas = new OffscreenCanvas(across, down);
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    if (!context) {
      throw new PhotoError("model_failed", "this browser has no memory left; close other pages");
    }
    context.imageSmoothingEnabled = false;
    context.fillStyle = "#fff"; // transparent pixels are composited on white
    context.fillRect(0, 0, across, down);
    context.setTransform(a, b, c, d, e - left, f - top);
    context.drawImage(bitmap, 0, 0);
    return rgbOf(context.getImageData(0, 0, across, down).data);
  };
  return { width, height, channels: 3, part, close: () => bitmap.close() };
}

/** @param {Uint8ClampedArray} rgba */
function rgbOf(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = /** @type {number} */ (rgba[from]);
    rgb[to + 1] = /** @type {number} */ (rgba[from + 1]);
    rgb[to + 2] = /** @type {number} */ (rgba[from + 2]);
  }
  return rgb;
}

/**
 * Reason why a photo must not be named; null: usable. See ophis/images/usability.py.
 *
 * @param {Image} photo
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
 * Luma as in Pillow (ITU-R 601-2), rounded to integers.
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
 * Percentile with linear interpolation, like NumPy.
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
 * Network input of a photo: [crops, 3, pixels, pixels].
 *
 * @param {Image} photo
 * @param {Preprocessing} preprocessing
 * @param {Crop[]} tta
 */
export function networkInput(photo, preprocessing, tta) {
  const side = preprocessing.pixels;
  const values = new Float32Array(tta.length * 3 * side * side);
  const table = byteTable(preprocessing);
  tta.forEach((crop, number) => {
    const resized = resize(windowOf(photo, crop), side, BILINEAR);
    const start = number * 3 * side * side;
    normalise(resized, table, side, crop.mirrored, values.subarray(start));
  });
  return values;
}

/**
 * Pixels of a crop, with edges rounded to whole pixels.
 *
 * @param {Image} photo
 * @param {Crop} crop
 * @returns {Image}
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
 * Normalised value of each byte in each channel, [3, 256]: computed in float64, rounded once.
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
 * Normalise bytes [side, side, 3] to float32 [3, side, side].
 *
 * @param {ArrayLike<number>} resized
 * @param {Float32Array} table
 * @param {number} side
 * @param {boolean} mirrored
 * @param {Float32Array} out
 */
function normalise(resized, table, side, mirrored, out) {
  for (let channel = 0; channel < 3; channel++) {
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        const from = row * side + (mirrored ? side - 1 - column : column);
        const byte = /** @type {number} */ (resized[from * 3 + channel]);
        out[(channel * side + row) * side + column] = /** @type {number} */ (
          table[channel * 256 + byte]
        );
      }
    }
  }
}

// Checks of a photo's file before decoding: format, size, dimensions.
// Messages are those of ophis/images.

import { jpegSegments, text } from "./exif.js";

export const MOST_BYTES = 64 * 2 ** 20;
const MOST_PIXELS = 80_000_000;
const LEAST_SIDE = 32; // pixels; smaller images show no snake
const HEIF = ["heic", "heix", "hevc", "mif1", "msf1", "avif"];
// Start-of-frame markers of JPEG, for every coding.
const FRAMES = [0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf];

/** Photo that cannot be used, with a reason code. */
export class PhotoError extends Error {
  /**
   * @param {string} code reason code of ophis/errors.py.
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * Format of a file, from its first bytes.
 *
 * @param {Uint8Array} bytes
 * @param {string} name of the photo, for error messages.
 * @returns {"jpeg" | "png" | "webp" | "heif"}
 * @throws {PhotoError} when it is empty or of another format.
 */
export function kindOf(bytes, name) {
  if (!bytes.length) throw new PhotoError("empty", `${name}: the file is empty; copy it again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (text(view, 0, 3) === "\xff\xd8\xff") return "jpeg";
  if (text(view, 0, 8) === "\x89PNG\r\n\x1a\n") return "png";
  if (text(view, 0, 4) === "RIFF" && text(view, 8, 4) === "WEBP") return "webp";
  if (text(view, 4, 4) === "ftyp" && HEIF.includes(text(view, 8, 4))) return "heif";
  const [code, cause] = otherFormat(view);
  throw new PhotoError(code, `${name}: ${cause}; send a JPEG, PNG or WebP photo`);
}

/**
 * @param {DataView} view
 * @returns {[code: string, cause: string]}
 */
function otherFormat(view) {
  const first = text(view, 0, 5);
  if (first === "%PDF-") return ["not_a_photo", "this is a PDF"];
  const four = first.slice(0, 4);
  if (["GIF8", "II*\0", "MM\0*"].includes(four) || four.startsWith("BM")) {
    return ["other_format", "GIF, TIFF and BMP pictures are not read"];
  }
  return ["not_a_photo", "this is no photo"];
}

/**
 * Refuse an animated WebP.
 *
 * @param {Uint8Array} bytes
 * @param {"jpeg" | "png" | "webp" | "heif"} kind
 * @param {string} name
 * @throws {PhotoError}
 */
export function requireStill(bytes, kind, name) {
  if (kind !== "webp") return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = Math.min(bytes.length, 8 + view.getUint32(4, true));
  let pictures = 0;
  for (let at = 12; at + 8 <= whole; ) {
    if (text(view, at, 4) === "ANMF") pictures += 1;
    if (pictures > 1) {
      throw new PhotoError("other_format", `${name}: this is an animation; send one picture of it`);
    }
    const size = view.getUint32(at + 4, true);
    at += 8 + size + (size % 2);
  }
}

/**
 * Refuse a photo with too many or too few pixels.
 *
 * @param {number} width
 * @param {number} height
 * @param {string} name
 * @throws {PhotoError}
 */
export function requireSize(width, height, name) {
  if (width * height > MOST_PIXELS) {
    const most = MOST_PIXELS / 1e6;
    throw new PhotoError(
      "too_large",
      `${name}: more than ${most} million pixels; send a smaller photo`,
    );
  }
  if (Math.min(width, height) < LEAST_SIDE) {
    throw new PhotoError(
      "too_small",
      `${name}: ${width} x ${height} pixels show nothing; send a photo of ${LEAST_SIDE} or more` +
        " a side",
    );
  }
}

/**
 * Width and height from the file's header; null if missing.
 *
 * @param {Uint8Array} bytes
 * @param {"jpeg" | "png" | "webp" | "heif"} kind
 * @returns {[width: number, height: number] | null}
 */
export function sizeOf(bytes, kind) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (kind === "jpeg") return jpegSize(view);
    if (kind === "png") return [view.getUint32(16), view.getUint32(20)];
    return kind === "webp" ? webpSize(view) : null;
  } catch (error) {
    if (error instanceof RangeError) return null; // truncated
    throw error;
  }
}

/**
 * @param {DataView} view
 * @returns {[number, number] | null}
 */
function jpegSize(view) {
  for (const { marker, start } of jpegSegments(view)) {
    if (FRAMES.includes(marker)) return [view.getUint16(start + 3), view.getUint16(start + 1)];
  }
  return null;
}

/**
 * @param {DataView} view
 * @returns {[number, number] | null}
 */
function webpSize(view) {
  const form = text(view, 12, 4);
  if (form === "VP8X") {
    return [(view.getUint32(24, true) & 0xffffff) + 1, (view.getUint32(26, true) >>> 8) + 1];
  }
  if (form === "VP8L") {
    const bits = view.getUint32(21, true);
    return [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1];
  }
  if (form === "VP8 ") {
    return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
  }
  return null;
}

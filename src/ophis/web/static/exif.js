// EXIF of JPEG, PNG, WebP and HEIC: orientation and GPS tags.

const ORIENTATION = 0x0112;
const GPS = 0x8825;
// Size in bytes and reader of each TIFF number type; a rational is two integers.
/** @type {Record<number, [number, (view: DataView, at: number, little: boolean) => number]>} */
const NUMBERS = {
  1: [1, (view, at) => view.getUint8(at)],
  3: [2, (view, at, little) => view.getUint16(at, little)],
  4: [4, (view, at, little) => view.getUint32(at, little)],
  5: [8, (view, at, little) => view.getUint32(at, little) / view.getUint32(at + 4, little)],
  9: [4, (view, at, little) => view.getInt32(at, little)],
  10: [8, (view, at, little) => view.getInt32(at, little) / view.getInt32(at + 4, little)],
  11: [4, (view, at, little) => view.getFloat32(at, little)],
  12: [8, (view, at, little) => view.getFloat64(at, little)],
};

/**
 * Tags by number; values are text or numbers.
 *
 * @typedef {Map<number, string | number[]>} Tags
 */

/**
 * EXIF orientation, 1 to 8; 1 if missing.
 *
 * @param {Uint8Array} bytes of the file.
 */
export function orientationOf(bytes) {
  try {
    const exif = exifOf(bytes);
    const value = exif && tagsAt(exif, firstTable(exif)).get(ORIENTATION);
    const [orientation = 1] = Array.isArray(value) ? value : [];
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
  } catch (error) {
    return damaged(error) ?? 1;
  }
}

/**
 * GPS tags of a photo; null if missing.
 *
 * @param {Uint8Array} bytes of the file.
 * @returns {Tags | null}
 */
export function positionTags(bytes) {
  try {
    const exif = exifOf(bytes);
    const place = exif && tagsAt(exif, firstTable(exif)).get(GPS);
    return exif && Array.isArray(place) ? tagsAt(exif, place[0] ?? 0) : null;
  } catch (error) {
    return damaged(error);
  }
}

/**
 * @param {unknown} error
 * @returns {null} for a truncated EXIF; other errors are rethrown.
 */
function damaged(error) {
  if (error instanceof RangeError) return null;
  throw error;
}

/**
 * EXIF block of a JPEG, PNG, WebP or HEIC file, from its byte-order mark on.
 *
 * @param {Uint8Array} bytes
 * @returns {DataView | null}
 */
function exifOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts = [...jpegParts(view), ...pngParts(view), ...webpParts(view), ...heicParts(bytes)];
  for (const [start, length] of parts) {
    const begin = text(view, start, 6) === "Exif\0\0" ? start + 6 : start;
    if (["II*\0", "MM\0*"].includes(text(view, begin, 4))) {
      return new DataView(view.buffer, view.byteOffset + begin, length - (begin - start));
    }
  }
  return null;
}

/** @typedef {Generator<[start: number, length: number]>} Parts */

/**
 * @param {DataView} view
 * @returns {Parts}
 */
function* jpegParts(view) {
  if (view.byteLength < 4 || view.getUint16(0) !== 0xffd8) return;
  for (const { marker, start, length } of jpegSegments(view)) {
    if (marker === 0xe1 && text(view, start, 4) === "Exif") yield [start, length];
  }
}

/**
 * Segments of a JPEG before its scan data.
 *
 * @param {DataView} view
 * @returns {Generator<{marker: number, start: number, length: number}>}
 */
export function* jpegSegments(view) {
  for (let at = 2; at + 4 <= view.byteLength; ) {
    if (view.getUint8(at) !== 0xff) return;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at += 1; // fill byte
    } else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2;
    } else {
      if (marker === 0xd9 || marker === 0xda) return;
      const length = view.getUint16(at + 2);
      yield { marker, start: at + 4, length: length - 2 };
      at += 2 + Math.max(length, 2);
    }
  }
}

/**
 * @param {DataView} view
 * @returns {Parts}
 */
function* pngParts(view) {
  if (text(view, 0, 4) !== "\x89PNG") return;
  for (let at = 8; at + 8 <= view.byteLength; at += 12 + view.getUint32(at)) {
    if (text(view, at + 4, 4) === "eXIf") yield [at + 8, view.getUint32(at)];
  }
}

/**
 * @param {DataView} view
 * @returns {Parts}
 */
function* webpParts(view) {
  const at = webpExif(view);
  if (at !== null) yield [at + 8, view.getUint32(at + 4, true)];
}

/**
 * Offset of the EXIF chunk of a WebP; null if missing.
 *
 * @param {DataView} view
 */
function webpExif(view) {
  if (text(view, 0, 4) !== "RIFF" || text(view, 8, 4) !== "WEBP") return null;
  for (let at = 12; at + 8 <= view.byteLength; ) {
    if (text(view, at, 4) === "EXIF") return at;
    const length = view.getUint32(at + 4, true);
    at += 8 + length + (length % 2);
  }
  return null;
}

/**
 * Copy of a WebP with its EXIF chunk disabled, because only some browsers apply its orientation.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
export function withoutOrientation(bytes) {
  const at = webpExif(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  if (at === null) return bytes;
  const copy = bytes.slice();
  copy.set([0x65, 0x78, 0x69, 0x66], at); // "exif", a chunk name that decoders ignore
  return copy;
}

/**
 * EXIF of a HEIC file: searched by its signature instead of parsing the item table.
 *
 * @param {Uint8Array} bytes
 * @returns {Parts}
 */
function* heicParts(bytes) {
  if (String.fromCharCode(...bytes.subarray(4, 8)) !== "ftyp") return;
  for (let at = bytes.indexOf(0x45); at >= 0; at = bytes.indexOf(0x45, at + 1)) {
    if (String.fromCharCode(...bytes.subarray(at, at + 6)) === "Exif\0\0") {
      yield [at, bytes.length - at];
    }
  }
}

/** @param {DataView} exif */
function firstTable(exif) {
  return exif.getUint32(4, exif.getUint8(0) === 0x49);
}

/**
 * Tags of one image file directory.
 *
 * @param {DataView} exif
 * @param {number} table offset of the directory.
 * @returns {Tags}
 * @throws {RangeError} when it is truncated.
 */
function tagsAt(exif, table) {
  const little = exif.getUint8(0) === 0x49;
  /** @type {Tags} */
  const tags = new Map();
  const count = exif.getUint16(table, little);
  for (let entry = table + 2; entry < table + 2 + count * 12; entry += 12) {
    const type = exif.getUint16(entry + 2, little);
    const numbers = exif.getUint32(entry + 4, little);
    const [size, read] = NUMBERS[type] ?? [1, null];
    if (numbers > exif.byteLength) continue;
    const inline = size * numbers <= 4;
    const start = inline ? entry + 8 : exif.getUint32(entry + 8, little);
    if (read) {
      const offsets = Array.from({ length: numbers }, (_, n) => start + n * size);
      tags.set(
        exif.getUint16(entry, little),
        offsets.map((at) => read(exif, at, little)),
      );
    } else {
      tags.set(exif.getUint16(entry, little), text(exif, start, numbers));
    }
  }
  return tags;
}

/**
 * Bytes as Latin-1 text, limited to the available bytes.
 *
 * @param {DataView} view
 * @param {number} start
 * @param {number} length
 */
export function text(view, start, length) {
  const from = Math.min(start, view.byteLength);
  const available = Math.min(length, view.byteLength - from);
  return String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + from, available));
}

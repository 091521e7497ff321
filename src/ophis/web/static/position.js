// Place of a photo: given by a person, from its EXIF position, or from the position of this device.
// A position is converted to countries at once; it is never shown, sent or stored.

import { Borders } from "./borders.js";
import { positionTags } from "./exif.js";
import { readJson } from "./page_files.js";

/** @import { Country, Place } from "./prior.js" */

const [NORTH, LATITUDE, EAST, LONGITUDE] = [1, 2, 3, 4];
const MOST_KM = 100; // a less accurate position may lie in too many countries
const OLD_MS = 300_000; // a country is rarely left in less time

/**
 * Position in a photo's EXIF; null if missing or invalid, see ophis/geography/location.py.
 *
 * @param {Uint8Array} bytes of the file.
 * @returns {{latitude: number, longitude: number} | null}
 */
export function positionOf(bytes) {
  const tags = positionTags(bytes);
  if (!tags) return null;
  const latitude = degrees(tags.get(LATITUDE), tags.get(NORTH), ["N", "S"]);
  const longitude = degrees(tags.get(LONGITUDE), tags.get(EAST), ["E", "W"]);
  if (latitude === null || longitude === null) return null;
  if (Math.abs(latitude) > 90 || Math.abs(longitude) > 180) return null;
  return latitude === 0 && longitude === 0 ? null : { latitude, longitude };
}

/**
 * Decimal degrees from degrees, minutes, seconds and hemisphere; null if invalid.
 *
 * @param {string | number[] | undefined} value
 * @param {string | number[] | undefined} reference
 * @param {string[]} sides hemispheres, the positive one first.
 */
function degrees(value, reference, sides) {
  if (!Array.isArray(value) || value.length < 2 || typeof reference !== "string") return null;
  const side = reference.replace(/^[\0 ]+|[\0 ]+$/g, "").toUpperCase();
  const [whole = 0, minutes = 0, seconds = 0] = value;
  const valid = whole >= 0 && minutes >= 0 && minutes <= 60 && seconds >= 0 && seconds <= 60;
  if (!sides.includes(side) || !valid) return null;
  return (side === sides[0] ? 1 : -1) * (whole + minutes / 60 + seconds / 3600);
}

/**
 * Place given by a person; null if none.
 *
 * @param {string | null} country ISO code, or a key of `countries`.
 * @param {Record<string, Country>} countries
 * @returns {Place | null}
 * @throws {RangeError} when there is no such country.
 */
export function givenPlace(country, countries) {
  if (country === null) return null;
  const wanted = country.trim();
  const key = ["", "unknown"].includes(wanted.toLowerCase()) ? "UNKNOWN" : wanted.toLowerCase();
  if (!countries[key]) throw new RangeError(`no country is called '${country}'; use its ISO code`);
  return { weights: [[key, 1]], source: "given" };
}

/** @type {Promise<Borders> | null} */
let borders = null;

/** @returns {Promise<Borders>} loaded once; after a failure the next call tries again */
function readBorders() {
  borders ??= readJson("borders.json").then(
    (topology) => new Borders(topology),
    (error) => {
      borders = null;
      throw error;
    },
  );
  return borders;
}

/**
 * Countries at a photo's position, the largest weight first.
 *
 * @param {Uint8Array} bytes of the file.
 * @returns {Promise<[code: string, weight: number][]>} empty without a position.
 */
async function weightsOf(bytes) {
  const position = positionOf(bytes);
  if (!position) return [];
  return (await readBorders()).countriesAt(position);
}

/**
 * Countries at a photo's position, determined in the browser.
 *
 * @param {Blob} photo
 * @returns {Promise<Record<string, number>>} weights by ISO code; empty without a position.
 */
export async function countriesOf(photo) {
  return Object.fromEntries(await weightsOf(new Uint8Array(await photo.arrayBuffer())));
}

/**
 * Countries around this device, within the accuracy of its position; the browser asks for
 * permission first.
 *
 * @param {AbortSignal} signal
 * @returns {Promise<Record<string, number>>} weights by ISO code; empty far out at sea.
 * @throws {GeolocationPositionError} when it is denied or unavailable.
 * @throws {RangeError} when it is too inaccurate.
 */
export async function countriesOfDevice(signal) {
  const { coords } = await deviceAt(signal);
  const km = coords.accuracy / 1000;
  if (km > MOST_KM) throw new RangeError("the position is too inaccurate");
  const { latitude, longitude } = coords;
  return Object.fromEntries((await readBorders()).countriesAt({ latitude, longitude }, km));
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<GeolocationPosition>}
 */
function deviceAt(signal) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    navigator.geolocation.getCurrentPosition(resolve, reject, { maximumAge: OLD_MS });
  });
}

/**
 * Place of the first photo with a position.
 *
 * @param {Iterable<Uint8Array>} photos
 * @returns {Promise<Place>}
 */
export async function placeOf(photos) {
  for (const bytes of photos) {
    const found = await weightsOf(bytes);
    if (!found.length) continue;
    return {
      weights: found.map(([code, weight]) => [code.toLowerCase(), weight]),
      source: found.length === 1 ? "position" : "near a border",
    };
  }
  return { weights: [], source: "no position" };
}

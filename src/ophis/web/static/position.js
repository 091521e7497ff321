// Where a photo was taken: what a person says, the position that a camera wrote into it, or that of
// this device. The position itself is never shown, sent or kept: it becomes countries, and is
// forgotten.

import { Borders } from "./borders.js";
import { positionTags } from "./exif.js";
import { readJson } from "./page_files.js";

/** @import { Country, Place } from "./prior.js" */

const [NORTH, LATITUDE, EAST, LONGITUDE] = [1, 2, 3, 4];
const MOST_KM = 100; // a position that is told no better may lie in too many countries
const OLD_MS = 300_000; // nobody leaves a country much faster

/**
 * The position in a photo's EXIF; null when there is none that can be meant: see
 * `ophis.position.gps_of`.
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
 * Degrees, minutes and seconds with their hemisphere, as one number; null when they are none.
 *
 * @param {string | number[] | undefined} value
 * @param {string | number[] | undefined} reference
 * @param {string[]} sides the one above 0 first.
 */
function degrees(value, reference, sides) {
  if (!Array.isArray(value) || value.length < 2 || typeof reference !== "string") return null;
  const side = reference.replace(/^[\0 ]+|[\0 ]+$/g, "").toUpperCase();
  const [whole = 0, minutes = 0, seconds = 0] = value;
  const within = whole >= 0 && minutes >= 0 && minutes <= 60 && seconds >= 0 && seconds <= 60;
  if (!sides.includes(side) || !within) return null;
  return (side === sides[0] ? 1 : -1) * (whole + minutes / 60 + seconds / 3600);
}

/**
 * The place that a person gave; null where nobody gave any.
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
  return { shares: [[key, 1]], source: "given" };
}

/** @type {Promise<Borders> | null} */
let borders = null;

/** @returns {Promise<Borders>} read once; where that failed, the next one who asks tries again */
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
 * The countries that a photo's own position tells, the largest share first.
 *
 * @param {Uint8Array} bytes of the file.
 * @returns {Promise<[code: string, share: number][]>} none where it has no position.
 */
async function sharesOf(bytes) {
  const position = positionOf(bytes);
  if (!position) return [];
  return (await readBorders()).countriesAt(position);
}

/**
 * The countries that a photo's own position tells; nothing leaves the browser for it.
 *
 * @param {Blob} photo
 * @returns {Promise<Record<string, number>>} their shares by ISO code; none where it has none.
 */
export async function countriesOf(photo) {
  return Object.fromEntries(await sharesOf(new Uint8Array(await photo.arrayBuffer())));
}

/**
 * The countries around this device, as far as its position is known; the browser asks its owner
 * first.
 *
 * @param {AbortSignal} signal
 * @returns {Promise<Record<string, number>>} their shares by ISO code; none far out at sea.
 * @throws {GeolocationPositionError} when it was not allowed, or the position cannot be had.
 * @throws {RangeError} when it is told too roughly.
 */
export async function countriesHere(signal) {
  const { coords } = await deviceAt(signal);
  const km = coords.accuracy / 1000;
  if (km > MOST_KM) throw new RangeError("the position is told too roughly");
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
 * The place that the first photo with a position tells.
 *
 * @param {Iterable<Uint8Array>} photos
 * @returns {Promise<Place>}
 */
export async function placeOf(photos) {
  for (const bytes of photos) {
    const found = await sharesOf(bytes);
    if (!found.length) continue;
    return {
      shares: found.map(([code, share]) => [code.toLowerCase(), share]),
      source: found.length === 1 ? "position" : "near a border",
    };
  }
  return { shares: [], source: "no position" };
}

// Place of a photo: given by a person, from its EXIF position, or from the position of this device.
// A position is never shown, logged or stored.

import { Borders } from "./borders.js";
import { positionTags } from "./exif.js";
import { readJson } from "./page_files.js";

/** @import { Position } from "./location_prior.js" */
/** @import { Country, Place } from "./prior.js" */

/**
 * Position, and the countries around it: weights by ISO code, the largest first.
 *
 * @typedef {{position: Position, countries: Record<string, number>}} Located
 */

const [NORTH, LATITUDE, EAST, LONGITUDE, ACCURACY] = [1, 2, 3, 4, 31];
const MOST_KM = 100; // a less accurate position may lie in too many countries
const UNKNOWN_KM = 1; // accuracy of a photo's position that states none
const OLD_MS = 300_000; // a country is rarely left in less time

/**
 * Position in a photo's EXIF; null if missing or invalid, see ophis/geography/location.py.
 *
 * @param {Uint8Array} bytes of the file.
 * @returns {Position | null}
 */
export function positionOf(bytes) {
  const tags = positionTags(bytes);
  if (!tags) return null;
  const latitude = degrees(tags.get(LATITUDE), tags.get(NORTH), ["N", "S"]);
  const longitude = degrees(tags.get(LONGITUDE), tags.get(EAST), ["E", "W"]);
  if (latitude === null || longitude === null) return null;
  if (Math.abs(latitude) > 90 || Math.abs(longitude) > 180) return null;
  const accuracy_km = accuracyOf(tags.get(ACCURACY));
  if ((latitude === 0 && longitude === 0) || accuracy_km > MOST_KM) return null;
  return { latitude, longitude, accuracy_km };
}

/** @param {string | number[] | undefined} metres */
function accuracyOf(metres) {
  const [value = 0, ...others] = Array.isArray(metres) ? metres : [];
  return value > 0 && Number.isFinite(value) && !others.length ? value / 1000 : UNKNOWN_KM;
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
 * @param {Position | null} at position; `country` may then name one of the countries around it.
 * @param {Record<string, Country>} countries
 * @returns {Promise<Place | null>}
 * @throws {RangeError} when there is no such country, or not at the position.
 */
export async function givenPlace(country, at, countries) {
  const around = at && (await placeAt(at, true));
  if (country === null) return around;
  const wanted = country.trim();
  const key = ["", "unknown"].includes(wanted.toLowerCase()) ? "UNKNOWN" : wanted.toLowerCase();
  if (!countries[key]) throw new RangeError(`no country is called '${country}'; use its ISO code`);
  if (!around) return { weights: [[key, 1]], source: "given" };
  const codes = around.weights.map(([code]) => code);
  if (codes.length && !codes.includes(key)) {
    throw new RangeError(`the position is not in ${country}; leave out the one that is wrong`);
  }
  // At sea no country is around the position: it is known only because it is given.
  return { ...around, weights: [[key, 1]], source: codes.length ? "given position" : "given" };
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
 * Position with the countries around it, within its accuracy.
 *
 * @param {Position} position
 * @returns {Promise<Located>}
 */
async function located(position) {
  const around = (await readBorders()).countriesAt(position, position.accuracy_km);
  return { position, countries: Object.fromEntries(around) };
}

/**
 * Position of a photo and its countries, determined in the browser; null without a position.
 *
 * @param {Blob} photo
 * @returns {Promise<Located | null>}
 */
export async function locatePhoto(photo) {
  const position = positionOf(new Uint8Array(await photo.arrayBuffer()));
  return position && located(position);
}

/**
 * Position of this device and the countries around it, within its accuracy; the browser asks for
 * permission first.
 *
 * @param {AbortSignal} signal
 * @returns {Promise<Located>} without countries far out at sea.
 * @throws {GeolocationPositionError} when it is denied or unavailable.
 * @throws {RangeError} when it is too inaccurate.
 */
export async function locateDevice(signal) {
  const { latitude, longitude, accuracy } = (await deviceAt(signal)).coords;
  const accuracy_km = accuracy > 0 ? accuracy / 1000 : UNKNOWN_KM;
  if (accuracy_km > MOST_KM) throw new RangeError("the position is too inaccurate");
  return located({ latitude, longitude, accuracy_km });
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
 * Place of the first photo with a position, preferably near a country.
 *
 * @param {Iterable<Uint8Array>} photos
 * @returns {Promise<Place>}
 */
export async function placeOf(photos) {
  /** @type {Place | null} */
  let far = null;
  for (const bytes of photos) {
    const position = positionOf(bytes);
    const place = position && (await placeAt(position, false));
    if (place?.weights.length) return place;
    far ??= place;
  }
  return far ?? { weights: [], source: "no position" };
}

/**
 * Place of a position, with the countries around it.
 *
 * @param {Position} position
 * @param {boolean} given false for a photo's own position.
 * @returns {Promise<Place>}
 */
async function placeAt(position, given) {
  const { countries } = await located(position);
  const weights = weightsOf(countries);
  const border = weights.length > 1;
  if (!weights.length) return { weights, source: given ? "no country" : "no position", position };
  if (given) {
    return { weights, source: `given position${border ? " near a border" : ""}`, position };
  }
  return { weights, source: border ? "near a border" : "position", position };
}

/**
 * Weights by country key.
 *
 * @param {Record<string, number>} countries by ISO code.
 * @returns {[key: string, weight: number][]}
 */
export function weightsOf(countries) {
  return Object.entries(countries).map(([code, weight]) => [code.toLowerCase(), weight]);
}

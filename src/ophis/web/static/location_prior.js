// Prior of a position from records around it; JavaScript version of ophis/priors/location.py and
// ophis/priors/records.py.

import { EARTH_KM, RADIANS } from "./borders.js";

/**
 * Point on the earth in degrees; the radius of the disc around it that holds the true one.
 *
 * @typedef {{latitude: number, longitude: number, accuracy_km: number}} Position
 */

/**
 * Settings of positions in facts.json.
 *
 * @typedef {object} LocationSettings
 * @property {number} world_exponent
 * @property {number} records number of rows.
 * @property {number} step of the rounded positions, in degrees.
 * @property {number} near_km
 * @property {number} far_km
 * @property {number} kernel_widths of the standard deviation, at which a kernel is cut off.
 * @property {number} radius_95 accuracy of a position in standard deviations.
 * @property {Record<string, number[]>} overridden columns by country key.
 * @property {number[]} bandwidths_km the widest first.
 * @property {number} record_exponent
 * @property {number} place_records
 */

/**
 * Records around a position.
 *
 * @typedef {object} Nearby
 * @property {Float64Array} records number within 100 km, by species.
 * @property {Float64Array} nearest_km infinite without a record within 500 km.
 * @property {boolean[]} known true for a species with a record anywhere.
 * @property {number} total number of records within 100 km.
 */

/**
 * p(s | place) from p(s | countries around it).
 *
 * @typedef {(countries: Float64Array) => Float64Array} Redistribution
 */

/** Rows of records, sorted by latitude. */
export class LocationPrior {
  /**
   * @param {LocationSettings} settings
   * @param {ArrayBuffer} rows as `Records.to_bytes` of ophis/priors/records.py writes them.
   * @param {Float64Array} world log p(s | world).
   */
  constructor(settings, rows, world) {
    const number = settings.records;
    const { step } = settings;
    this.settings = settings;
    this.world = world;
    this.count = new Uint32Array(rows, 0, number);
    this.latitude = Float64Array.from(new Int16Array(rows, 4 * number, number), (n) => n * step);
    const longitude = new Int16Array(rows, 6 * number, number);
    this.column = new Uint16Array(rows, 8 * number, number);
    this.known = new Array(world.length).fill(false);
    this.points = new Float64Array(3 * number);
    for (let row = 0; row < number; row++) {
      this.points.set(pointOf(this.latitude[row] ?? 0, (longitude[row] ?? 0) * step), 3 * row);
      this.known[this.column[row] ?? 0] = true;
    }
  }

  /**
   * @param {Position} position
   * @returns {Nearby}
   */
  near(position) {
    const { near_km, far_km } = this.settings;
    const records = new Float64Array(this.world.length);
    const nearest_km = new Float64Array(this.world.length).fill(Number.POSITIVE_INFINITY);
    let total = 0;
    this.#eachAround(position, far_km, (row, square) => {
      const [km, column] = [Math.sqrt(square), this.column[row] ?? 0];
      if (km <= far_km) nearest_km[column] = Math.min(nearest_km[column] ?? 0, km);
      if (km > near_km) return;
      records[column] = (records[column] ?? 0) + (this.count[row] ?? 0);
      total += this.count[row] ?? 0;
    });
    return { records, nearest_km, known: this.known, total };
  }

  /**
   * Redistribution of the probability of the recorded species by the records around a position.
   *
   * @param {Position} position
   * @param {string[]} countries keys of the countries around it.
   * @returns {Redistribution}
   */
  redistribution(position, countries) {
    const sums = this.#kernelSums(position);
    const free = [...this.known];
    for (const key of countries) {
      for (const column of this.settings.overridden[key] ?? []) free[column] = false;
    }
    return (p) => this.#redistributed(p, sums, free);
  }

  /**
   * @param {Float64Array} countries p(s | countries around the position).
   * @param {Float64Array[]} sums kernel sums of each bandwidth.
   * @param {boolean[]} free species whose probability is redistributed.
   */
  #redistributed(countries, sums, free) {
    const { record_exponent, place_records } = this.settings;
    const only = (/** @type {Float64Array} */ p) => p.map((x, s) => (free[s] ? x : 0));
    const mass = sumOf(only(countries));
    if (!(mass > 0)) return countries;
    let here = only(countries).map((p) => p / mass);
    for (const scale of sums) {
      const evidence = only(scale.map((x) => x ** record_exponent));
      const total = sumOf(evidence) + place_records;
      const wider = here;
      here = evidence.map((x, s) => (x + place_records * (wider[s] ?? 0)) / total);
    }
    const placed = here;
    return countries.map((p, s) => (free[s] ? mass * (placed[s] ?? 0) : p));
  }

  /**
   * Sums of Gaussian kernels over the records by species, for each bandwidth. An uncertain position
   * widens the kernels.
   *
   * @param {Position} position
   * @returns {Float64Array[]}
   */
  #kernelSums(position) {
    const { bandwidths_km, kernel_widths, radius_95 } = this.settings;
    const uncertain = (position.accuracy_km / radius_95) ** 2;
    const scales = bandwidths_km.map((km) => {
      const variance = km ** 2 + uncertain;
      const sums = new Float64Array(this.world.length);
      return { variance, reach: kernel_widths ** 2 * variance, peak: km ** 2 / variance, sums };
    });
    const edge = Math.exp(kernel_widths ** 2 / -2);
    const reach_km = Math.sqrt(scales[0]?.reach ?? 0);
    this.#eachAround(position, reach_km, (row, square) => {
      const [column, count] = [this.column[row] ?? 0, this.count[row] ?? 0];
      for (const { variance, reach, sums } of scales) {
        if (square >= reach) break; // narrower kernels do not reach it either
        sums[column] = (sums[column] ?? 0) + count * (Math.exp(square / (-2 * variance)) - edge);
      }
    });
    return scales.map(({ sums, peak }) => sums.map((sum) => sum * peak));
  }

  /**
   * Call a function with each row at most so far north or south, and its squared distance in km2.
   *
   * @param {Position} position
   * @param {number} reach_km
   * @param {(row: number, square: number) => void} act
   */
  #eachAround({ latitude, longitude }, reach_km, act) {
    const [x, y, z] = pointOf(latitude, longitude);
    const degrees = reach_km / (EARTH_KM * RADIANS) + this.settings.step;
    const high = latitude + degrees;
    const { points } = this;
    for (let row = this.#firstFrom(latitude - degrees); row < this.count.length; row++) {
      if ((this.latitude[row] ?? 0) >= high) return;
      const [dx, dy, dz] = [
        (points[3 * row] ?? 0) - x,
        (points[3 * row + 1] ?? 0) - y,
        (points[3 * row + 2] ?? 0) - z,
      ];
      act(row, (dx * dx + dy * dy + dz * dz) * EARTH_KM ** 2);
    }
  }

  /**
   * First row at or north of a latitude.
   *
   * @param {number} latitude
   */
  #firstFrom(latitude) {
    let [low, high] = [0, this.latitude.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.latitude[middle] ?? 0) < latitude) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * Point on the unit sphere.
 *
 * @param {number} latitude
 * @param {number} longitude
 * @returns {[x: number, y: number, z: number]}
 */
function pointOf(latitude, longitude) {
  const [north, east] = [latitude * RADIANS, longitude * RADIANS];
  return [Math.cos(north) * Math.cos(east), Math.cos(north) * Math.sin(east), Math.sin(north)];
}

/** @param {Float64Array} values */
function sumOf(values) {
  return values.reduce((sum, value) => sum + value, 0);
}

// Countries around a point on the earth; JavaScript version of ophis/geography/borders.py.

import { even } from "./probabilities.js";

export const EARTH_KM = 6371;
const SAMPLES = 256; // points of a disc; weights are accurate to one or two hundredths
const COAST_KM = 50; // a position farther out at sea has no country
const DISC_KM = 10;
export const RADIANS = Math.PI / 180;

/** @typedef {[longitude: number, latitude: number]} Point */

/**
 * Polygon with holes, as closed rings, and its bounding box.
 *
 * @typedef {{code: string, rings: Point[][], low: Point, high: Point}} Polygon
 */

/**
 * Content of borders.json (TopoJSON).
 *
 * @typedef {object} Topology
 * @property {{scale: Point, translate: Point}} transform
 * @property {Point[][]} arcs
 * @property {{countries: {geometries: {id: string, arcs: number[][][]}[]}}} objects
 */

/** Borders of all countries. */
export class Borders {
  /** @param {Topology} topology */
  constructor({ transform, arcs, objects }) {
    const lines = arcs.map((arc) => lineOf(arc, transform));
    const lineAt = (/** @type {number} */ arc) =>
      arc >= 0 ? (lines[arc] ?? []) : (lines[~arc] ?? []).toReversed();
    this.polygons = objects.countries.geometries.flatMap((country) =>
      country.arcs.map((rings) =>
        polygon(
          country.id,
          rings.map((ring) => closed(ring.map(lineAt))),
        ),
      ),
    );
  }

  /**
   * Countries within ten kilometres of a point, weighted by area; at sea the nearest country
   * within 50 km.
   *
   * @param {{latitude: number, longitude: number}} position in degrees.
   * @param {number} [km] accuracy of the position, if it exceeds ten kilometres.
   * @returns {[code: string, weight: number][]} the largest first.
   */
  countriesAt({ latitude, longitude }, km = 0) {
    const here = /** @type {Point} */ ([((longitude % 360) + 360) % 360, latitude]);
    const counts = this.#counts(disc(here, Math.max(km, DISC_KM)));
    if (!counts.size) return this.#nearest(here);
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    return [...counts]
      .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
      .map(([code, count]) => [code, count / total]);
  }

  /**
   * Number of points in each country; a point counts once.
   *
   * @param {Point[]} points
   */
  #counts(points) {
    /** @type {Map<string, number>} */
    const counts = new Map();
    let free = points;
    for (const polygon of this.#around(points, 0)) {
      const left = free.filter((point) => !holds(polygon, point));
      const inside = free.length - left.length;
      if (inside) counts.set(polygon.code, (counts.get(polygon.code) ?? 0) + inside);
      free = left;
    }
    return counts;
  }

  /**
   * Country with the nearest coast, within COAST_KM.
   *
   * @param {Point} point
   * @returns {[code: string, weight: number][]}
   */
  #nearest(point) {
    const away = this.#around([point], COAST_KM)
      .map((polygon) => ({ km: kilometres(polygon, point), code: polygon.code }))
      .sort((a, b) => a.km - b.km || (a.code < b.code ? -1 : 1));
    return away[0] && away[0].km <= COAST_KM ? [[away[0].code, 1]] : [];
  }

  /**
   * Polygons whose widened bounding boxes intersect that of the points.
   *
   * @param {Point[]} points
   * @param {number} margin in kilometres.
   */
  #around(points, margin) {
    const { low, high } = box(points);
    const up = margin / EARTH_KM / RADIANS;
    const widest = Math.min(Math.max(Math.abs(low[1]), Math.abs(high[1])) + up, 90);
    const side = up / Math.max(Math.cos(widest * RADIANS), 1e-6);
    const [west, east] = [low[0] - side, high[0] + side];
    return this.polygons.filter(
      (polygon) =>
        // The longitude ranges overlap after a shift by a multiple of 360 degrees.
        Math.ceil((polygon.low[0] - east) / 360) <= Math.floor((polygon.high[0] - west) / 360) &&
        polygon.low[1] - up <= high[1] &&
        polygon.high[1] + up >= low[1],
    );
  }
}

/**
 * Points distributed evenly over a disc on the sphere, its centre first.
 *
 * @param {Point} middle
 * @param {number} km radius.
 * @returns {Point[]}
 */
function disc([longitude, latitude], km) {
  const [lat, lon] = [latitude * RADIANS, longitude * RADIANS];
  return Array.from({ length: SAMPLES }, (_, number) => {
    const away = (km / EARTH_KM) * Math.sqrt(number / (SAMPLES - 1));
    const bearing = number * Math.PI * (3 - Math.sqrt(5)); // the golden angle
    const sine =
      Math.sin(lat) * Math.cos(away) + Math.cos(lat) * Math.sin(away) * Math.cos(bearing);
    const there = Math.asin(Math.min(Math.max(sine, -1), 1));
    const turn = Math.atan2(
      Math.sin(bearing) * Math.sin(away) * Math.cos(lat),
      Math.cos(away) - Math.sin(lat) * Math.sin(there),
    );
    return [(lon + turn) / RADIANS, there / RADIANS];
  });
}

/**
 * Point with its longitude shifted to the range of a polygon.
 *
 * @param {Polygon} polygon
 * @param {Point} point
 * @returns {Point}
 */
function near({ low, high }, [x, y]) {
  const middle = (low[0] + high[0]) / 2;
  return [x + 360 * even((middle - x) / 360), y];
}

/**
 * True if a point lies inside: a ray to the east crosses an odd number of edges.
 *
 * @param {Polygon} polygon
 * @param {Point} point
 */
function holds(polygon, point) {
  const [x, y] = near(polygon, point);
  let odd = false;
  for (const [[x0, y0], [x1, y1]] of edges(polygon)) {
    if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) odd = !odd;
  }
  return odd;
}

/**
 * Distance from a point to the nearest edge, in a flat approximation for short distances.
 *
 * @param {Polygon} polygon
 * @param {Point} point
 */
function kilometres(polygon, point) {
  const [x, y] = near(polygon, point);
  const degree = RADIANS * EARTH_KM;
  const shrunk = Math.cos(y * RADIANS) * degree;
  let nearest = Number.POSITIVE_INFINITY;
  for (const [[x0, y0], [x1, y1]] of edges(polygon)) {
    const [sx, sy] = [(x0 - x) * shrunk, (y0 - y) * degree];
    const [ex, ey] = [(x1 - x0) * shrunk, (y1 - y0) * degree];
    const length = Math.max(ex ** 2 + ey ** 2, 1e-12);
    const along = Math.min(Math.max(-(sx * ex + sy * ey) / length, 0), 1);
    nearest = Math.min(nearest, Math.hypot(sx + along * ex, sy + along * ey));
  }
  return nearest;
}

/**
 * @param {Polygon} polygon
 * @returns {Generator<[Point, Point]>}
 */
function* edges({ rings }) {
  for (const ring of rings) {
    for (let end = 1; end < ring.length; end++) {
      yield/** @type {[Point, Point]} */ ([ring[end - 1], ring[end]]);
    }
  }
}

/**
 * Coordinates of a delta-encoded arc, in degrees.
 *
 * @param {Point[]} arc
 * @param {Topology["transform"]} transform
 * @returns {Point[]}
 */
function lineOf(arc, { scale, translate }) {
  let [x, y] = [0, 0];
  return arc.map(([dx, dy]) => {
    [x, y] = [x + dx, y + dy];
    return [x * scale[0] + translate[0], y * scale[1] + translate[1]];
  });
}

/**
 * Ring of joined arcs; a ring around the earth is closed over its pole.
 *
 * @param {Point[][]} arcs
 * @returns {Point[]}
 */
function closed(arcs) {
  const line = unwrapped(arcs.flatMap((arc, number) => (number ? arc.slice(1) : arc)));
  const [first, last] = [line[0], line.at(-1)];
  if (!first || !last || Math.abs(last[0] - first[0]) < 180) return line;
  const mean = line.reduce((sum, [, y]) => sum + y, 0) / line.length;
  const pole = mean < 0 ? -90 : 90;
  return [...line, [last[0], pole], [first[0], pole], first];
}

/**
 * Longitudes without jumps at 180 degrees.
 *
 * @param {Point[]} line
 * @returns {Point[]}
 */
function unwrapped(line) {
  let turns = 0;
  return line.map(([x, y], number) => {
    const step = x - (line[number - 1]?.[0] ?? x);
    if (Math.abs(step) >= 180) turns -= Math.round(step / 360);
    return [x + 360 * turns, y];
  });
}

/**
 * @param {string} code
 * @param {Point[][]} rings outer ring first.
 * @returns {Polygon}
 */
function polygon(code, rings) {
  const mean = (/** @type {Point[]} */ ring) =>
    ring.reduce((sum, [x]) => sum + x, 0) / Math.max(ring.length, 1);
  const middle = mean(rings[0] ?? []); // a hole is shifted to the range of its outer ring
  const placed = rings.map((ring, number) => {
    const turn = number ? 360 * even((middle - mean(ring)) / 360) : 0;
    return ring.map(([x, y]) => /** @type {Point} */ ([x + turn, y]));
  });
  return { code, rings: placed, ...box(placed.flat()) };
}

/**
 * Bounding box of points.
 *
 * @param {Point[]} points
 * @returns {{low: Point, high: Point}}
 */
function box(points) {
  /** @type {Point} */
  const low = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  /** @type {Point} */
  const high = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const [x, y] of points) {
    [low[0], low[1]] = [Math.min(low[0], x), Math.min(low[1], y)];
    [high[0], high[1]] = [Math.max(high[0], x), Math.max(high[1], y)];
  }
  return { low, high };
}

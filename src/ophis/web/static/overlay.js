/** Evidence map drawn over a photo. */

import { make } from "./elements.js";
import { photoImage } from "./photo_list.js";

/** @typedef {import("./backend.js").Evidence} Evidence */
/** @typedef {import("./sentences.js").Sentences} Sentences */

const CELL_PIXELS = 8; // canvas pixels per grid cell; the browser interpolates further
const SHADE_OPACITY = 0.5; // opacity of the shade where the evidence is 0
const AMBER = [255, 176, 32]; // amber, visible with red-green colour blindness

/**
 * @param {Evidence} grid
 * @param {number} row - in rows of the grid, fractional
 * @param {number} column
 * @returns {number} bilinear interpolation
 */
export function valueAt(grid, row, column) {
  const y = Math.min(Math.max(row, 0), grid.rows - 1);
  const x = Math.min(Math.max(column, 0), grid.columns - 1);
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const at = (/** @type {number} */ r, /** @type {number} */ c) =>
    grid.values[Math.min(r, grid.rows - 1) * grid.columns + Math.min(c, grid.columns - 1)] ?? 0;
  const upper = at(top, left) * (left + 1 - x) + at(top, left + 1) * (x - left);
  const lower = at(top + 1, left) * (left + 1 - x) + at(top + 1, left + 1) * (x - left);
  return upper * (top + 1 - y) + lower * (y - top);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Evidence} grid
 */
export function drawEvidence(canvas, grid) {
  canvas.width = grid.columns * CELL_PIXELS;
  canvas.height = grid.rows * CELL_PIXELS;
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(canvas.width, canvas.height);
  for (let y = 0; y < canvas.height; y += 1) {
    for (let x = 0; x < canvas.width; x += 1) {
      // A value belongs to the centre of its cell.
      const value = valueAt(grid, (y + 0.5) / CELL_PIXELS - 0.5, (x + 0.5) / CELL_PIXELS - 0.5);
      image.data.set(colour(value), 4 * (y * canvas.width + x));
    }
  }
  context.putImageData(image, 0, 0);
}

/**
 * @param {number} value - in [0, 1]
 * @returns {number[]} red, green, blue, opacity: from shade over transparent to amber
 */
function colour(value) {
  if (value < 0.35) return [10, 16, 28, 255 * SHADE_OPACITY * (1 - value / 0.35)];
  return [...AMBER, 255 * 0.55 * ((value - 0.35) / 0.65)];
}

/**
 * @param {Evidence} grid
 * @returns {string} key of the ninth of the photo with the most evidence
 */
export function strongest(grid) {
  const sums = new Map();
  for (let row = 0; row < grid.rows; row += 1) {
    for (let column = 0; column < grid.columns; column += 1) {
      const place = ninth((row + 0.5) / grid.rows, (column + 0.5) / grid.columns);
      const value = grid.values[row * grid.columns + column] ?? 0;
      sums.set(place, (sums.get(place) ?? 0) + value);
    }
  }
  return [...sums].reduce((best, each) => (each[1] > best[1] ? each : best))[0];
}

/**
 * @param {number} down - fraction of the height
 * @param {number} along - fraction of the width
 * @returns {string}
 */
function ninth(down, along) {
  const [y, x] = [Math.floor(3 * down), Math.floor(3 * along)];
  const names = [["top", "", "bottom"][y] ?? "", ["left", "", "right"][x] ?? ""];
  return `where_${names.filter(Boolean).join("_") || "middle"}`;
}

/**
 * @param {import("./photo_list.js").Photo} photo
 * @param {string} number
 * @param {Evidence|null|undefined} grid
 * @param {Sentences} sentences
 * @returns {HTMLElement} the photo with its evidence map
 */
export function photoFigure(photo, number, grid, sentences) {
  const frame = make("div", { class: "frame" }, photoImage(photo, number, sentences));
  const figure = make("figure", { class: "photo" }, frame);
  if (!grid || Math.max(...grid.values) <= 0) return figure;
  const where = sentences.text("page", "evidence_where", {
    where: sentences.text("page", strongest(grid)),
  });
  const canvas = make("canvas", { role: "img", "aria-label": where });
  drawEvidence(canvas, grid);
  frame.append(canvas);
  return figure;
}

/**
 * @param {HTMLElement} photos - element that contains the figures
 * @param {Evidence} grid
 * @param {Sentences} sentences
 * @returns {HTMLElement} checkbox that shows and hides the maps, with an explanation
 */
export function overlaySwitch(photos, grid, sentences) {
  const input = make("input", { type: "checkbox" });
  input.checked = true;
  const show = () => photos.classList.toggle("bare", !input.checked);
  input.addEventListener("change", show);
  const why = sentences.text("page", "evidence_hint", { name: grid.species });
  return make(
    "div",
    { class: "evidence" },
    make(
      "label",
      { class: "tick" },
      input,
      make("span", {}, sentences.text("page", "evidence_show")),
    ),
    make("p", { class: "hint" }, why),
  );
}

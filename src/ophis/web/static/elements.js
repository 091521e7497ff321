/** Creation and look-up of DOM elements. */

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node|string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * @param {string} name - of a symbol in index.html
 * @returns {SVGSVGElement} hidden from screen readers
 */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  picture.setAttribute("class", "icon");
  picture.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#icon-${name}`);
  picture.append(use);
  return picture;
}

/**
 * @param {string} text
 * @param {() => void} act
 * @param {{kind?: string, symbol?: string}} [options]
 * @returns {HTMLButtonElement}
 */
export function button(text, act, { kind = "plain", symbol } = {}) {
  const made = make("button", { type: "button", class: kind });
  if (symbol) made.append(icon(symbol));
  made.append(make("span", {}, text));
  made.addEventListener("click", act);
  return made;
}

/**
 * @param {string} sentence
 * @param {string|null} name - a scientific name in the sentence
 * @returns {(Node|string)[]} the sentence with the name set in italics
 */
export function withName(sentence, name) {
  const place = name ? sentence.indexOf(name) : -1;
  if (!name || place < 0) return [sentence];
  const italic = make("i", { lang: "la", translate: "no" }, name);
  return [sentence.slice(0, place), italic, sentence.slice(place + name.length)];
}

/** Forms of the English names of countries, as geography/country_forms.py reads them. */

const SMALL = new Set(["the", "of", "and"]);
/** @type {Map<string, string>} */
const SPELLED = new Map([
  ...["st", "ste", "sainte"].map((word) => /** @type {const} */ ([word, "saint"])),
  ...["is", "isl"].map((word) => /** @type {const} */ ([word, "islands"])),
  ...["n", "s", "e", "w"].map((word) => /** @type {const} */ ([word, `${word}.`])),
  ["rep", "republic"],
  ["dem", "democratic"],
]);
const CONTESTED = ["congo", "china", "korea"]; // names of which "republic" means one
const SHORTEST_ABBREVIATION = 3; // letters, where no other word follows

export class CountryForms {
  /** @param {Record<string, string[]>} english - all English names of each country, by code */
  constructor(english) {
    /** @type {Map<string, string>} - code by the words of a name */
    this.names = new Map();
    for (const [code, names] of Object.entries(english)) {
      for (const name of names.filter((text) => text.length > SHORTEST_ABBREVIATION)) {
        for (const order of [name, ...orders(name).slice(1)]) {
          this.names.set(words(order).join(" "), code);
        }
      }
    }
  }

  /**
   * @param {string} text - "Congo, Dem. Rep.", "S. Sudan", "Republic of Kenya"
   * @returns {string[]} codes of the countries with this name, sorted
   */
  codes(text) {
    const found = orders(text)
      .map(words)
      .filter((order) => order.length > 0);
    for (const order of found) {
      const code = this.names.get(order.join(" ")) ?? this.names.get(withoutForm(order).join(" "));
      if (code) return [code];
    }
    return [...new Set(found.flatMap((order) => this.abbreviated(order)))].sort();
  }

  /** @param {string[]} order */
  abbreviated(order) {
    const alone = order.length === 1;
    if (!order.some((word) => word.endsWith("."))) return [];
    if (alone && (order[0] ?? "").length <= SHORTEST_ABBREVIATION) return [];
    const whole = order.map((word) => pattern(word, alone)).join(" ");
    const fits = new RegExp(`^${whole}$`, "u");
    return [...this.names].filter(([name]) => fits.test(name)).map(([, code]) => code);
  }
}

/**
 * @param {string} text - "X (Y)" or "X/Y"
 * @returns {string[]} X and Y
 */
export function namesOfForm(text) {
  const names = brackets(text) ?? text.split("/").map((part) => part.trim());
  return names.filter((name) => name.toLowerCase() !== "country");
}

/** @param {string} text */
function orders(text) {
  const found = brackets(text);
  if (found) return [`${found[1]} ${found[0]}`, found.join(" ")];
  if (!text.includes(",")) return [text];
  const inverted = [text.indexOf(","), text.lastIndexOf(",")].map(
    (at) => `${text.slice(at + 1)} ${text.slice(0, at)}`,
  );
  return [text, ...inverted];
}

/** @param {string} text */
function brackets(text) {
  const found = /^([^([]+)[([]([^)\]]+)[)\]]$/u.exec(text.trim());
  return found?.slice(1).map((part) => part.replace(/^[\s-]+|[\s-]+$/gu, ""));
}

/** @param {string} text */
function words(text) {
  const plain = text
    .toLowerCase()
    .normalize("NFKD")
    .replace(/\p{M}|['`\u2018\u2019]/gu, "")
    .replace(
      /(^|[^\p{L}\p{N}])((?:[\p{L}\p{N}]\.)+[\p{L}\p{N}])\.?(?![\p{L}\p{N}])/gu,
      (...found) => [found[1], found[2].replaceAll(".", "")].join(""),
    );
  return (plain.match(/[\p{L}\p{N}]+\.?/gu) ?? [])
    .map((word) => SPELLED.get(word.replace(/\.$/u, "")) ?? word)
    .filter((word) => !SMALL.has(word));
}

/** @param {string[]} order */
function withoutForm(order) {
  const form = order[0] === "republic" || order[0] === "kingdom";
  return form && !CONTESTED.some((name) => order.includes(name)) ? order.slice(1) : [];
}

/**
 * @param {string} word
 * @param {boolean} alone
 */
function pattern(word, alone) {
  if (!word.endsWith(".")) return word;
  const letters = [...word.slice(0, -1)];
  return `${letters.join(alone ? "" : "[^ ]*")}[^ ]*`;
}

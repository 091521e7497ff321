// SHA-256, also over plain http, where browsers do not provide crypto.subtle.

const START = primes(8, (prime) => Math.sqrt(prime));
const ROUNDS = primes(64, (prime) => Math.cbrt(prime));

/**
 * SHA-256 digest as 64 hexadecimal digits.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<string>}
 */
export async function sha256(bytes) {
  if (globalThis.crypto?.subtle) {
    return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
  }
  return softwareSha256(bytes);
}

/**
 * SHA-256 in plain JavaScript (FIPS 180-4).
 *
 * @param {Uint8Array} bytes
 */
export function softwareSha256(bytes) {
  const whole = bytes.length - (bytes.length % 64);
  const end = new Uint8Array(bytes.length - whole + 9 > 64 ? 128 : 64);
  end.set(bytes.subarray(whole));
  end[bytes.length - whole] = 0x80;
  const length = new DataView(end.buffer);
  length.setUint32(end.length - 8, Math.floor(bytes.length / 2 ** 29));
  length.setUint32(end.length - 4, (bytes.length * 8) % 2 ** 32);
  const state = Int32Array.from(START);
  addBlocks(state, bytes.subarray(0, whole));
  addBlocks(state, end);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => {
    digest.setInt32(index * 4, word);
  });
  return hex(new Uint8Array(digest.buffer));
}

/**
 * @param {Int32Array} state
 * @param {Uint8Array} bytes a multiple of 64.
 */
function addBlocks(state, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const w = new Int32Array(64);
  for (let start = 0; start < bytes.length; start += 64) {
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(start + i * 4);
    for (let i = 16; i < 64; i++) {
      const [a, b] = [at(w, i - 15), at(w, i - 2)];
      const low = rotateRight(a, 7) ^ rotateRight(a, 18) ^ (a >>> 3);
      const high = rotateRight(b, 17) ^ rotateRight(b, 19) ^ (b >>> 10);
      w[i] = (at(w, i - 16) + low + at(w, i - 7) + high) | 0;
    }
    addBlock(state, w);
  }
}

/**
 * @param {Int32Array} state
 * @param {Int32Array} w the message schedule.
 */
function addBlock(state, w) {
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let i = 0; i < 64; i++) {
    const choice = (e & f) ^ (~e & g);
    const high = rotateRight(e, 6) ^ rotateRight(e, 11) ^ rotateRight(e, 25);
    const one = (h + high + choice + at(ROUNDS, i) + at(w, i)) | 0;
    const two =
      (rotateRight(a, 2) ^ rotateRight(a, 13) ^ rotateRight(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((word, index) => {
    state[index] = at(state, index) + word;
  });
}

/**
 * @param {Int32Array} words
 * @param {number} index within bounds.
 */
function at(words, index) {
  return /** @type {number} */ (words[index]);
}

/**
 * @param {number} word
 * @param {number} bits
 */
function rotateRight(word, bits) {
  return (word >>> bits) | (word << (32 - bits));
}

/**
 * First 32 bits of the fractional parts of roots of the first primes.
 *
 * @param {number} count
 * @param {(prime: number) => number} root
 */
function primes(count, root) {
  /** @type {number[]} */
  const found = [];
  for (let number = 2; found.length < count; number++) {
    if (!found.some((prime) => number % prime === 0)) found.push(number);
  }
  return Int32Array.from(found, (prime) => ((root(prime) % 1) * 2 ** 32) | 0);
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

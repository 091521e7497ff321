// Self-test of a network; JavaScript version of ophis/inference/self_test.py.

import { decode, networkInput } from "./preprocessing.js";

/** @import { Network } from "./network.js" */
/** @import { Preprocessing } from "./preprocessing.js" */

/**
 * Known photo as base64, its logits at the export, and the largest difference allowed, as a
 * fraction of the largest logit.
 *
 * @typedef {{photo: string, logits: number[], tolerance: number}} SelfTest
 */

const WHOLE = [{ left: 0, top: 0, fraction: 1, mirrored: false }];

/**
 * Run a network on its known photo, because a device or browser may count wrong.
 *
 * @param {Network} network
 * @param {Preprocessing} preprocessing
 * @param {SelfTest} test
 * @returns {Promise<string | null>} the difference, if it is larger than the tolerance.
 */
export async function difference(network, preprocessing, { photo, logits, tolerance }) {
  const bytes = Uint8Array.from(atob(photo), (letter) => letter.charCodeAt(0));
  const image = await decode(bytes, "the self-test's photo");
  const input = networkInput(image, preprocessing, WHOLE);
  image.close();
  const found = (await network.run(input, preprocessing.pixels, false)).logits;
  let [most, largest] = [0, 1];
  logits.forEach((expected, column) => {
    most = Math.max(most, Math.abs((found[column] ?? Number.NaN) - expected)); // NaN stays NaN
    largest = Math.max(largest, Math.abs(expected));
  });
  if (found.length === logits.length && most / largest <= tolerance) return null;
  return (
    "logits of the self-test photo differ from those at the export by" +
    ` ${(most / largest).toExponential(1)} of the largest logit, more than ${tolerance}`
  );
}

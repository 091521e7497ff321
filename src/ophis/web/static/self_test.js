// Self-test of a network; JavaScript version of ophis/inference/self_test.py.

import { decode, networkInput } from "./preprocessing.js";
import { MAY_BE_VENOMOUS, showsDanger } from "./verdict.js";

/** @import { Network } from "./network.js" */
/** @import { Preprocessing } from "./preprocessing.js" */

/**
 * Known photo as base64, its logits and their verdict at the export, and the largest difference
 * allowed, as a fraction of the largest logit.
 *
 * @typedef {{photo: string, logits: number[], tolerance: number, verdict: string}} SelfTest
 */

const WHOLE = [{ left: 0, top: 0, fraction: 1, mirrored: false }];

/**
 * Run a network on its known photo, because a device or browser may count wrong.
 *
 * @param {Network} network
 * @param {Preprocessing} preprocessing
 * @param {SelfTest} test
 * @param {number[]} dangerous columns of dangerous species.
 * @returns {Promise<string | null>} the difference, if it is larger than the tolerance or if the
 *   warning is lost.
 */
export async function difference(network, preprocessing, test, dangerous) {
  const { photo, logits, tolerance, verdict } = test;
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
  if (found.length !== logits.length || !(most / largest <= tolerance)) {
    return (
      "logits of the self-test photo differ from those at the export by" +
      ` ${(most / largest).toExponential(1)} of the largest logit, more than ${tolerance}`
    );
  }
  // The logits of 8-bit networks may differ enough to cross the limit.
  const risky = showsDanger(found, dangerous) || showsDanger(logits, dangerous);
  if (verdict !== MAY_BE_VENOMOUS || risky) return null;
  return `the self-test photo had the verdict "${verdict}" at the export and has it no more`;
}

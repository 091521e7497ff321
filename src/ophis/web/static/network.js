// Network in this browser: onnxruntime-web, WebAssembly, one thread.

/** @import { InferenceSession, Tensor } from "onnxruntime-web" */

/** @typedef {typeof import("onnxruntime-web/wasm")} Runtime */

/**
 * Evidence maps of a few species: `values` is [species, rows, columns].
 *
 * @typedef {{species: number[], rows: number, columns: number, values: Float32Array}} Maps
 */

/**
 * Output of a network for one photo, the mean over its crops.
 *
 * @typedef {{logits: Float32Array, ood_score: number | null, maps: Maps | null}} NetworkOutput
 */

/** Inference session of one ONNX file. */
export class Network {
  /**
   * @param {Runtime} runtime
   * @param {InferenceSession} session
   */
  constructor(runtime, session) {
    this.runtime = runtime;
    this.session = session;
  }

  /**
   * @param {Runtime} runtime
   * @param {ArrayBuffer} wasm WebAssembly binary of the runtime.
   * @param {ArrayBuffer} model
   */
  static async open(runtime, wasm, model) {
    Object.assign(runtime.env.wasm, { wasmBinary: wasm, numThreads: 1 });
    runtime.env.logLevel = "error";
    const session = await runtime.InferenceSession.create(new Uint8Array(model), {
      executionProviders: ["wasm"],
    });
    return new Network(runtime, session);
  }

  /**
   * @param {Float32Array} pixels [crops, 3, side, side].
   * @param {number} side
   * @param {boolean} evidence return the evidence maps of the first crop.
   * @returns {Promise<NetworkOutput>}
   */
  async run(pixels, side, evidence) {
    const { session, runtime } = this;
    const crops = pixels.length / (3 * side * side);
    const [input = ""] = session.inputNames;
    const images = new runtime.Tensor("float32", pixels, [crops, 3, side, side]);
    const wanted = session.outputNames.filter((name) => evidence || !name.startsWith("evidence"));
    const outputs = await session.run({ [input]: images }, wanted);
    const { logits, ood_score } = outputs;
    const result = {
      logits: meanOverCrops(numbersOf(logits), crops),
      ood_score: ood_score ? (meanOverCrops(numbersOf(ood_score), crops)[0] ?? null) : null,
      maps: mapsOf(outputs.evidence, outputs.evidence_species),
    };
    for (const output of [images, ...Object.values(outputs)]) output.dispose();
    return result;
  }
}

/** @param {Tensor | undefined} tensor */
function numbersOf(tensor) {
  return /** @type {Float32Array} */ (tensor?.data);
}

/**
 * Mean over crops, summed in float32 like NumPy: [crops, ...] to [...].
 *
 * @param {Float32Array} values
 * @param {number} crops
 */
function meanOverCrops(values, crops) {
  const size = values.length / crops;
  const mean = values.slice(0, size);
  for (let crop = 1; crop < crops; crop++) {
    for (let i = 0; i < size; i++) {
      mean[i] = (mean[i] ?? 0) + (values[crop * size + i] ?? 0);
    }
  }
  return mean.map((sum) => sum / crops);
}

/**
 * Maps of the first crop, which is the whole photo.
 *
 * @param {Tensor | undefined} evidence [crops, species, rows, columns].
 * @param {Tensor | undefined} species [crops, species].
 * @returns {Maps | null}
 */
function mapsOf(evidence, species) {
  if (!evidence || !species) return null;
  const [, count = 0, rows = 0, columns = 0] = evidence.dims;
  return {
    species: Array.from(/** @type {ArrayLike<bigint>} */ (species.data), Number).slice(0, count),
    rows,
    columns,
    values: numbersOf(evidence).slice(0, count * rows * columns),
  };
}

/** Camera dialog with a shutter; on phones, the phone's own camera app instead. */

import { byId } from "./elements.js";

const JPEG_QUALITY = 0.92;
const WANTED = { facingMode: { ideal: "environment" }, width: { ideal: 1920 } };

export class Camera {
  /**
   * @param {{taken: (photo: Blob) => void, failed: () => void}} callbacks
   */
  constructor(callbacks) {
    this.callbacks = callbacks;
    /** @type {MediaStream|null} */
    this.stream = null;
    this.dialog = /** @type {HTMLDialogElement} */ (byId("camera"));
    this.view = /** @type {HTMLVideoElement} */ (byId("view"));
    byId("take").addEventListener("click", () => this.open());
    byId("shutter").addEventListener("click", () => this.shoot());
    byId("camera-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.stop());
  }

  async open() {
    // A phone's camera app focuses and zooms, so that nobody needs to approach the snake.
    const phone = matchMedia("(pointer: coarse)").matches;
    if (phone || !navigator.mediaDevices?.getUserMedia) {
      byId("capture").click();
      return;
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: WANTED });
    } catch {
      this.callbacks.failed();
      return;
    }
    this.view.srcObject = this.stream;
    this.dialog.showModal();
    byId("shutter").focus();
  }

  shoot() {
    const canvas = document.createElement("canvas");
    canvas.width = this.view.videoWidth;
    canvas.height = this.view.videoHeight;
    if (!canvas.width) return; // no picture yet
    canvas.getContext("2d")?.drawImage(this.view, 0, 0);
    canvas.toBlob(
      (blob) => {
        if (blob) this.callbacks.taken(new File([blob], "camera.jpg", { type: blob.type }));
        this.dialog.close();
      },
      "image/jpeg",
      JPEG_QUALITY,
    );
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.view.srcObject = null;
  }
}

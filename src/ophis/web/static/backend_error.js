/** Error of a backend: status and reason code for programs, sentences for people. */
export class BackendError extends Error {
  /**
   * @param {number} status HTTP status; the local backend uses the same: 422 for input to be corrected.
   * @param {string} reason code; each language has a sentence for it, in the section `error`.
   * @param {string} error one line in English, with details.
   * @param {string} emergency advice after a bite.
   */
  constructor(status, reason, error, emergency) {
    super(error);
    this.name = "BackendError";
    this.status = status;
    this.reason = reason;
    this.error = error;
    this.emergency = emergency;
  }
}

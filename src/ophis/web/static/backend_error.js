/** A question that cannot be answered: a status and a reason for programs, sentences for people. */
export class BackendError extends Error {
  /**
   * @param {number} status as a service would give it: 422 for what a person can mend.
   * @param {string} reason which of ophis/errors.py's, or of this page's own; the words for it are
   *   in each language.
   * @param {string} error one line in English, which may say more.
   * @param {string} emergency what holds whatever is wrong.
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

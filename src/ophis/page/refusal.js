/** A question that cannot be answered: a status for programs, and sentences for people. */
export class Refusal extends Error {
  /**
   * @param {number} status as a service would give it: 422 for what a person can mend.
   * @param {string} error one line.
   * @param {string} emergency what holds whatever is wrong.
   */
  constructor(status, error, emergency) {
    super(error);
    this.name = "Refusal";
    this.status = status;
    this.error = error;
    this.emergency = emergency;
  }
}

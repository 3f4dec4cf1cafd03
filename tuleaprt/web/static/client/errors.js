/** Errors with the reason of the server. */

/** An Error from autobahn's rejection, or from the reason with which the server ended the session. */
export const failure = (reason, message, more) => Object.assign(new Error(message || reason), { reason }, more);

export const asError = (error, more) =>
  error instanceof Error ? Object.assign(error, more) : failure(error?.error ?? String(error), error?.args?.[0], more);

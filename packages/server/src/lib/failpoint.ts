/** Every step of spawn and destroy after which a crash is tried out, each in the order of its operation. */
export const failpointSteps = [
  "spawn:inserted",
  "spawn:leased",
  "spawn:runtime",
  "spawn:running",
  "destroy:leased",
  "destroy:marked",
  "destroy:ended",
  "destroy:recorded",
] as const;

export type FailpointStep = (typeof failpointSteps)[number];

/**
 * A named place where tests may end the process, as `kill -9` would, to see that what was half done is mended. Inert
 * unless whoever starts the server passes one of their own.
 */
export type Failpoint = (step: FailpointStep) => void;

export const noFailpoint: Failpoint = () => {};

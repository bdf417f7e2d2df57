/** A configured level by the logger's own name for it. */
export const logLevel = (configured: string): string =>
  configured === "disabled" ? "silent" : configured === "panic" ? "fatal" : configured;

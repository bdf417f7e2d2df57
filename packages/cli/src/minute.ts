/** A time of the API to the minute, UTC; `-` where there is none. */
export const minute = (time: string | undefined): string =>
  time === undefined ? "-" : new Date(time).toISOString().slice(0, 16).replace("T", " ");

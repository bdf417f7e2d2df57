/** `sb-` and 16 lower-case hex digits. */
export const sandboxIdPattern: RegExp = /^sb-[0-9a-f]{16}$/;

export const isSandboxId = (text: string): boolean => sandboxIdPattern.test(text);

/** Bytes of randomness in a sandbox id. */
export const sandboxIdBytes = 8;

/** The sandbox id of eight random bytes. */
export const sandboxId = (random: Uint8Array): string => {
  if (random.length !== sandboxIdBytes) throw new RangeError(`a sandbox id takes ${sandboxIdBytes} bytes`);
  return `sb-${Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
};

/** `pr-` and 16 lower-case hex digits: a process that was started over the API. Never a pid, which can be given again. */
export const processIdPattern: RegExp = /^pr-[0-9a-f]{16}$/;

export const isProcessId = (text: string): boolean => processIdPattern.test(text);

/** A request id that a client may bring along: it ends in headers and logs, so length and characters are bounded. */
export const requestIdPattern: RegExp = /^[A-Za-z0-9._:/+=@-]{1,128}$/;

export const isRequestId = (text: string): boolean => requestIdPattern.test(text);

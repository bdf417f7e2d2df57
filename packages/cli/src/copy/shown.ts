/** Characters of a name that a message shows. */
const shownMax = 200;

// Controls, and what turns the direction of text or is no character of its own.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
const harmful = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** A name as one harmless line; what it hides is replaced. */
export function shown(name: string | Uint8Array): string {
  const text = typeof name === "string" ? name : new TextDecoder().decode(name);
  const harmless = text.replace(harmful, "\ufffd");
  return harmless.length <= shownMax ? harmless : `${harmless.slice(0, shownMax)}…`;
}

/** What a copy says that was ended within a file. */
export const goesOn = (name: string): string =>
  `What has arrived of ${shown(name)} is kept. The same command goes on from there.`;

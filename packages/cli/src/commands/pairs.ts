import { UsageFailure } from "../failure.ts";

/** Words of the form NAME=value, the last of a name counting. */
export function pairsOf(option: string, words: readonly string[]): Record<string, string> | undefined {
  if (words.length === 0) return undefined;
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf("=");
      if (at <= 0) throw new UsageFailure(`${option} takes NAME=value, not ${JSON.stringify(word)}`);
      return [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}

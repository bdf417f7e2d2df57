/** A version as dpkg orders it: `[epoch:]upstream[-revision]`. */
export interface DebianVersion {
  readonly epoch: number;
  readonly upstream: string;
  /** Empty where there is none, which is as old as "0". */
  readonly revision: string;
}

export function parseDebianVersion(text: string): DebianVersion {
  const [, epoch = "0", rest = text] = /^(\d+):(.*)$/s.exec(text) ?? [];
  const dash = rest.lastIndexOf("-");
  return dash === -1
    ? { epoch: Number(epoch), upstream: rest, revision: "" }
    : { epoch: Number(epoch), upstream: rest.slice(0, dash), revision: rest.slice(dash + 1) };
}

/** Below zero where `a` is the older one, as `dpkg --compare-versions` and section 5.6.12 of Debian's policy say. */
export function compareDebianVersions(a: string, b: string): number {
  const [left, right] = [parseDebianVersion(a), parseDebianVersion(b)];
  return (
    left.epoch - right.epoch ||
    compareParts(left.upstream, right.upstream) ||
    compareParts(left.revision, right.revision)
  );
}

/** A tilde sorts before the end, letters before everything else; numbers by their value, and none is zero. */
function compareParts(a: string, b: string): number {
  const [left, right] = [pieces(a), pieces(b)];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const [text = "", digits = ""] = left[at] ?? [];
    const [otherText = "", otherDigits = ""] = right[at] ?? [];
    const difference = compareText(text, otherText) || compareNumbers(digits, otherDigits);
    if (difference !== 0) return difference;
  }
  return 0;
}

const pieces = (text: string): readonly (readonly [text: string, digits: string])[] =>
  [...text.matchAll(/(\D*)(\d*)/g)].map(([, before = "", digits = ""]) => [before, digits] as const);

function compareText(a: string, b: string): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = weight(a[at]) - weight(b[at]);
    if (difference !== 0) return difference;
  }
  return 0;
}

const weight = (character: string | undefined): number => {
  if (character === undefined) return 0;
  if (character === "~") return -1;
  const code = character.codePointAt(0) ?? 0;
  return /[A-Za-z]/.test(character) ? code : code + 0x11_00_00;
};

/** By value, however many digits. */
function compareNumbers(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return left.length - right.length || (left < right ? -1 : left > right ? 1 : 0);
}

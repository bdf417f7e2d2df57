import type { Advisory, Mitigation } from "../releases/fixed-releases.ts";
import { type Area, type Finding, findingsOf } from "./finding.ts";

export interface Holes {
  readonly area: Area;
  /** Program and version, as they are shown. */
  readonly subject: string;
  readonly open: readonly Advisory[];
  /** What the sandboxes that are made with it have. */
  readonly mitigations: readonly Mitigation[];
  readonly remedy: string;
}

const names = (advisories: readonly Advisory[]): string => advisories.map(({ id }) => id).join(", ");

const words: Readonly<Record<Mitigation, string>> = {
  "user-namespace": "a user namespace without the host's root",
  seccomp: "their system call filter",
};

/** One finding for each kind of consequence: what a sandbox can reach, what it is kept from, and what gives it little. */
export function holeFindings({ area, subject, open, mitigations, remedy }: Holes): readonly Finding[] {
  const { warn, fail } = findingsOf(area);
  const name = subject.split(" ")[0]?.toLowerCase() ?? "";
  const isKept = ({ mitigatedBy }: Advisory) => mitigatedBy !== undefined && mitigations.includes(mitigatedBy);
  const escapes = open.filter(({ consequence }) => consequence === "escape");
  const [kept, reached] = [escapes.filter(isKept), escapes.filter((each) => !isKept(each))];
  const limited = open.filter(({ consequence }) => consequence === "limited");
  const sources = (advisories: readonly Advisory[]) => advisories.map(({ source }) => source);
  const by = [...new Set(kept.flatMap(({ mitigatedBy }) => (mitigatedBy === undefined ? [] : [words[mitigatedBy]])))];
  return [
    ...(reached.length === 0
      ? []
      : [
          fail(
            `${name}-escape`,
            `${subject} is older than its fixed release: open to ${names(reached)}`,
            remedy,
            sources(reached),
          ),
        ]),
    ...(kept.length === 0
      ? []
      : [
          warn(
            `${name}-kept`,
            `${subject} lacks the fixes of ${names(kept)}; sandboxes are kept from them by ${by.join(" and ")}`,
            remedy,
            sources(kept),
          ),
        ]),
    ...(limited.length === 0
      ? []
      : [warn(`${name}-limited`, `${subject} lacks lesser fixes: ${names(limited)}`, remedy, sources(limited))]),
  ];
}

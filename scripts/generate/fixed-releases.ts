import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Advisory, advisories } from "../../packages/server/src/releases/fixed-releases.ts";

/** Writes docs/generated/fixed-releases.md: what `stacyvm doctor` knows of holes, what closes each, and who says so. */
const consequence = ({ consequence: kind, mitigatedBy }: Advisory): string => {
  if (kind === "limited") return "limited";
  return mitigatedBy === undefined ? "escape" : `escape, but for sandboxes behind a ${mitigatedBy.replace("-", " ")}`;
};

const fixes = ({ fixed, introduced, backports = [] }: Advisory): string => {
  const since = introduced === undefined ? "" : ` (since ${introduced})`;
  const builds = backports.map(({ version, source }) => `; \`${version}\` ([source](${source.replace(/ \(.*/, "")}))`);
  return `${fixed.join(", ")}${since}${builds.join("")}`;
};

const rows = advisories.map(
  (each) =>
    `| [${each.id}](${each.source}) | ${each.component} | ${each.title} | ${consequence(each)} | ${fixes(each)} |`,
);

const page = `# Fixed releases

What \`stacyvm doctor\` compares the programs of a host with. A release counts as fixed when it reaches the fix of its branch, or is newer
than each branch that got one; a distribution's package also when it is the patched build that is named, or a later one of the same line.
An open \`escape\` fails the doctor's check, unless the sandboxes of this host are out of its reach; anything else is a warning.

| advisory | program | what | consequence | fixed in |
|---|---|---|---|---|
${rows.join("\n")}
`;

const folder = resolve(import.meta.dirname, "..", "..", "docs", "generated");
mkdirSync(folder, { recursive: true });
writeFileSync(resolve(folder, "fixed-releases.md"), page);

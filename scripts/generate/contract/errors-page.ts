import { errorCatalogue } from "@stacyvm/contract";

const faults = {
  caller: "the caller changes the request",
  system: "the operator of the server",
  provider: "the provider underneath",
} as const;

/** The catalogue as a page for people. */
export const errorsPage = (): string => {
  const sections = Object.entries(errorCatalogue).map(
    ([reason, entry]) => `## ${reason}

${entry.summary}

- Answer: ${entry.status}, code \`${entry.code}\`
- Whose turn: ${faults[entry.fault]}
- The same request may succeed later: ${entry.retryable ? "yes" : "no"}
- What helps: ${entry.remediation}
`,
  );
  return `# Errors

Every failure is a JSON object with \`code\`, \`message\`, \`reason\`, \`request_id\` and \`remediation\`, sometimes \`details\`.
\`code\` is one of nine; \`reason\` is one of the names below. Quote the request id when you ask the operator: the cause
is in the server's log under it.

${sections.join("\n")}`;
};

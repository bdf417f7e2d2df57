/** One thing that is wrong with the configuration. */
export interface Problem {
  /** The key, or the file, that it is about. */
  readonly path: string;
  /** A whole sentence without its stop; names the key, never a secret's value. */
  readonly message: string;
  /** What would help; may be empty. */
  readonly hint: string;
}

/** Everything that is wrong, at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  /** `what`: how the sentence "the configuration … 3 problem(s)" goes. */
  constructor(problems: readonly Problem[], what = "has") {
    const lines = problems.map(({ message, hint }) =>
      hint === "" ? `  ${message}` : `  ${message}\n      fix: ${hint}`,
    );
    super(`the configuration ${what} ${problems.length} problem(s):\n${lines.join("\n")}`);
    this.problems = problems;
  }
}

/** Thrown while one value is read. */
export class ValueProblem extends Error {
  readonly hint: string;

  constructor(message: string, hint = "") {
    super(message);
    this.hint = hint;
  }
}

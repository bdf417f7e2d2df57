// Plain JavaScript that Node 20 can start.
const colour = process.stderr.isTTY === true && !process.env.NO_COLOR;

/** One line on stderr about what is done and why; stdout stays for results. */
export const say = (/** @type {string} */ line) => console.error(colour ? `\x1b[36m·\x1b[0m ${line}` : `· ${line}`);

/** What stops the setup: the machine is not what it needs. `lines` say what was found and what would help. */
export class SetupStop extends Error {
  /** @param {readonly string[]} lines */
  constructor(lines) {
    super(lines.join("\n"));
    this.name = "SetupStop";
  }
}

/** Exit status where a machine can't run the product. */
export const exitUnsupported = 3;

/**
 * Runs the work; a stop is printed as it is, and ends with 3.
 * @param {() => void | Promise<void>} work
 */
export const orStop = async (work) => {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof SetupStop)) throw error;
    console.error(error.message);
    process.exit(exitUnsupported);
  }
};

/**
 * For what the rest can do without: a stop is printed with its consequence, and the setup goes on.
 * @param {string} consequence
 * @param {() => void} work
 */
export const orSkip = (consequence, work) => {
  try {
    work();
  } catch (error) {
    if (!(error instanceof SetupStop)) throw error;
    say(`${error.message}\n  so ${consequence}`);
  }
};

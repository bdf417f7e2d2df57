import { CommanderError } from "commander";
import { reportFailure } from "./failure.ts";
import { createOutput } from "./output.ts";
import { createProgram } from "./program.ts";

const words = process.argv.slice(2);
const end = words.indexOf("--");
/** Known also where the command line can't be read to its end. What stands after -- is another program's. */
const wantsJson = words.slice(0, end === -1 ? words.length : end).includes("--json");
const output = createOutput(wantsJson);

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // A reader that has seen enough is no failure.
    if (error.code === "EPIPE") process.exit(0);
    if (stream === process.stdout) output.errorLine(`the output can't be written: ${error.message}`);
    process.exit(1);
  });
}

try {
  await createProgram({ tellsMisuse: !wantsJson }).parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) process.exitCode = reportFailure(error, output);
  else if (error.exitCode !== 0) {
    // Its text was told where it was found.
    const message = error.code === "commander.help" ? "a command is missing" : error.message.replace(/^error: /, "");
    if (output.json) reportFailure(new Error(message), output);
    process.exitCode = 2;
  }
}

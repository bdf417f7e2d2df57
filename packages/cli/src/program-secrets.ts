import type { Command } from "commander";
import type { Client } from "stacyvm";
import type { Output } from "./output.ts";

/** What a command needs of the command line as a whole. */
interface Reach {
  client(): Promise<Client>;
  output(): Output;
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** Adds what keeps secrets. No value is ever an argument: others on the machine would see it. */
export function addSecretCommands(program: Command, { client, output }: Reach): void {
  const secrets = () => import("./commands/secrets.ts");
  const secret = program
    .command("secret")
    .description("values that sandboxes use and can't read; each is sent to its hosts alone");
  secret
    .command("set")
    .description(
      "set a secret, or its next version, for example: stacyvm secret set OPENAI_API_KEY --host api.openai.com",
    )
    .addHelpText("after", "\nThe value is typed, or read from standard input, without the newline at its end.")
    .argument("<name>", "letters, digits and _: the variable that stands for it in a sandbox")
    .requiredOption("--host <host[:port]>", "where it may be sent, an exact name; repeat for more", collect)
    .option("--owner <id>", "whose sandboxes may use it, everybody's where absent; repeat for more", collect)
    .option("--from-file <file>", "take the value from a file, without the newline at its end")
    .option("--from-env <variable>", "take the value from a variable of this command's environment")
    // Commander's own complaint would repeat the value.
    .allowExcessArguments()
    .action(async (name: string, own, command: Command) => {
      if (command.args.length > 1) {
        command.error("error: a value is no argument, where others would see it: it is typed or piped in");
      }
      await (await secrets()).setSecret(await client(), output(), name, own);
    });
  secret
    .command("list")
    .alias("ls")
    .description("list secrets by name, never their values")
    .action(async () => (await secrets()).listSecrets(await client(), output()));
  secret
    .command("rm")
    .description("delete a secret: no request carries it any more")
    .argument("<name>", "the secret, as list shows it")
    .action(async (name: string) => (await secrets()).removeSecret(await client(), output(), name));
  secret
    .command("rotate")
    .description("encrypt everything anew that isn't under the server's current key, for administrators")
    .action(async () => (await secrets()).rotateSecrets(await client(), output()));
}

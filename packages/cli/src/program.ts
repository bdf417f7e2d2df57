import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { createOutput } from "./output.ts";
import { addSecretCommands } from "./program-secrets.ts";
import { addTenantCommands } from "./program-tenants.ts";

const version = "v0.2.0";
const defaultServer = "http://localhost:7423";

interface GlobalFlags {
  readonly server: string;
  readonly apiKey?: string;
  readonly tenant?: string;
  readonly project?: string;
  readonly json?: true;
}

const wholeNumber = (text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("a whole number is needed");
  return Number(text);
};

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

const keyRoles = ["viewer", "api", "operator", "tenant_admin", "admin"];
const sorts = ["created_at", "-created_at", "expires_at", "-expires_at", "name", "-name"];

export interface ProgramOptions {
  /** Whether misuse is told as text where it is found; it is thrown in any case. */
  readonly tellsMisuse: boolean;
}

/** The command line. Each command loads what it needs when it runs, so that `version` loads nothing. */
export function createProgram({ tellsMisuse }: ProgramOptions): Command {
  const program = new Command("stacyvm")
    .description("Disposable sandboxes on your own host")
    .version(version, "-v, --version")
    .option("--server <url>", "the server's address", process.env.STACYVM_SERVER ?? defaultServer)
    .option("--api-key <key>", "key for the API (default: $STACYVM_API_KEY)")
    .option("--tenant <id>", "the tenant that is meant (default: $STACYVM_TENANT)")
    .option("--project <id>", "its project (default: $STACYVM_PROJECT)")
    .option("--json", "print results and errors as JSON")
    .showHelpAfterError(tellsMisuse && "(--help after a command tells what it takes)")
    .configureOutput({ outputError: (text, write) => (tellsMisuse ? write(text) : undefined) })
    .exitOverride();
  const flags = () => program.opts<GlobalFlags>();
  const output = () => createOutput(flags().json ?? false);
  const place = () => {
    const { server: url, tenant = process.env.STACYVM_TENANT, project = process.env.STACYVM_PROJECT } = flags();
    return { url, tenant: tenant || undefined, project: project || undefined };
  };
  const server = async (lapsed: "refused" | "ignored" = "refused") => {
    const { apiKey = process.env.STACYVM_API_KEY } = flags();
    if (apiKey) return { ...place(), apiKey, token: undefined };
    return { ...(await import("./login/credential.ts")).storedCredential(place().url, lapsed), ...place() };
  };
  const client = async (lapsed?: "ignored") => {
    const { Client } = await import("stacyvm");
    const { url, ...rest } = await server(lapsed);
    return new Client({ baseUrl: url, ...rest });
  };
  const tenantClient = async () => {
    const { Client } = await import("stacyvm");
    const { url, project: _, ...rest } = await server();
    return new Client({ baseUrl: url, ...rest });
  };
  const sandboxes = () => import("./commands/sandboxes.ts");
  const processes = () => import("./commands/processes.ts");
  const ports = () => import("./commands/ports.ts");
  const providers = () => import("./commands/providers.ts");
  const login = () => import("./commands/login.ts");
  const keys = () => import("./commands/keys.ts");
  const images = () => import("./commands/images.ts");

  program
    .command("serve")
    .description("run the server in the foreground until Ctrl-C")
    .option("--config <file>", "the only configuration file to read")
    .option("--host <address>", "address to listen on")
    .option("--port <number>", "port to listen on", wholeNumber)
    .option("--insecure", "permit a reachable address without credentials")
    .action(async (own: { config?: string; host?: string; port?: number; insecure?: true }) => {
      const { serve } = await import("@stacyvm/server");
      await serve({
        ...(own.config === undefined ? {} : { argvConfigPath: own.config }),
        overrides: {
          ...(own.host === undefined ? {} : { "server.host": own.host }),
          ...(own.port === undefined ? {} : { "server.port": String(own.port) }),
          ...(own.insecure === undefined ? {} : { "server.insecure": "true" }),
        },
      });
    });
  program
    .command("spawn")
    .description("make a sandbox, for example: stacyvm spawn --ttl 10m")
    .option("--image <name>", "image of the sandbox", "alpine:latest")
    .option("--provider <name>", "provider; the server's default where absent")
    .option("--ttl <duration>", "time to live, for example 30m")
    .option("--memory <mb>", "memory in MiB", wholeNumber)
    .option("--vcpus <count>", "processors", wholeNumber)
    .option("--env <NAME=value>", "environment of everything in it; repeat for more", collect, [])
    // Not --env-file: that one Node takes for its own wherever it stands.
    .option("--env-from <file>", "file of NAME=value lines, over which --env goes")
    .option("--workdir <path>", "where commands start; made where it is missing")
    .option("--user <user>", "whom commands run as: name, uid or uid:gid")
    .option("--disk <mb>", "disk in MiB", wholeNumber)
    .addOption(new Option("--security <profile>", "security profile").choices(["default", "restricted"]))
    .option("--network <mode>", "what it may reach: none, public or allowlist (default: what the server permits)")
    .option("--allow <rule>", "host, address or network with ports, such as api.example.com:443; repeat", collect, [])
    .option("--deny <rule>", "the same, for what it may not reach", collect, [])
    .option("--secret <use>", "placeholder of a secret, such as API_KEY@api.example.com; repeat for more", collect, [])
    .option("--inject <rule>", 'header on the way out: "API_KEY@api.example.com X-Api-Key"; repeat', collect, [])
    .option("--label <key=value>", "label that list can filter by; repeat for more", collect, [])
    .option("--name <name>", "name that no other of your living sandboxes has")
    .option("--get-or-create", "take the sandbox of that name where there is one")
    .option("--idempotency-key <key>", "the same command under the same key makes one sandbox")
    .action(async (own) => (await import("./commands/spawn.ts")).spawnCommand(await client(), output(), own));
  program
    .command("exec")
    .description("run a command, for example: stacyvm exec sb-… -- ls -la /")
    .argument("<id>", "the sandbox")
    .argument("[command...]", "the command and its arguments, after --")
    .showHelpAfterError(tellsMisuse && "(the command stands after --, for example: stacyvm exec sb-… -- ls -la)")
    .option("--shell", "join the words with spaces and give them to a shell")
    .option("-i, --stdin", "send this command's standard input along")
    .option("--user <user>", "user inside the sandbox")
    .option("--workdir <path>", "working directory")
    .option("--env <NAME=value>", "environment variable; repeat for more", collect, [])
    .option("--timeout <duration>", "end the whole process tree after this long, for example 90s")
    .action(async (id: string, words: readonly string[], own) =>
      (await sandboxes()).execCommand(await client(), output(), id, words, own),
    );
  program
    .command("cp")
    .description("copy files and folders into or out of a sandbox, for example: stacyvm cp ./src sb-…:/workspace")
    .argument("<paths...>", "sources, then the target; ID:PATH is in a sandbox, - is standard input or output")
    .option("-L, --follow-links", "copy what local symlinks lead to, not the links")
    .option("-q, --quiet", "tell nothing but failures")
    .action(async (words: readonly string[], own) =>
      (await import("./commands/copy.ts")).copyCommand(await client(), output(), words, own),
    );
  program
    .command("ps")
    .description("list a sandbox's processes, ended ones too")
    .argument("<id>", "the sandbox")
    .action(async (id: string) => (await processes()).psCommand(await client(), output(), id));
  program
    .command("attach")
    .description("replay a process's output and follow it; a terminal is joined to its own")
    .argument("<id>", "the sandbox")
    .argument("<process>", "the process, as ps shows it")
    .option("--offset <bytes>", "where the replay begins", wholeNumber)
    .action(async (id: string, process: string, own) =>
      (await processes()).attachCommand(await client(), await server(), output(), id, process, own),
    );
  program
    .command("shell")
    .description("open a terminal in a sandbox; Enter ~ . leaves it running, attach comes back")
    .argument("<id>", "the sandbox")
    .option("--user <user>", "user inside the sandbox")
    .option("--workdir <path>", "working directory")
    .action(async (id: string, own) =>
      (await processes()).shellCommand(await client(), await server(), output(), id, own),
    );
  program
    .command("ports")
    .description("list the ports on which programs in a sandbox listen")
    .argument("<id>", "the sandbox")
    .action(async (id: string) => (await ports()).portsCommand(await client(), output(), id));
  program
    .command("port-forward")
    .description("reach ports of a sandbox from this machine, for example: stacyvm port-forward sb-… 8080:3000")
    .argument("<id>", "the sandbox")
    .argument("<pairs...>", "LOCAL:REMOTE, or one number for both; a local 0 is any free port")
    .action(async (id: string, pairs: readonly string[]) => {
      const { portForwardCommand } = await ports();
      await portForwardCommand(await client(), await server(), output(), id, pairs);
    });
  program
    .command("network")
    .description("show what a sandbox may reach and what it tried, or change what it may reach")
    .argument("<id>", "the sandbox")
    .option("-f, --follow", "go on with what comes, until Ctrl-C")
    .option("--network <mode>", "from now on: none, public or allowlist")
    .option("--allow <rule>", "host, address or network with ports, such as api.example.com:443; repeat", collect, [])
    .option("--deny <rule>", "the same, for what it may not reach", collect, [])
    .option("--inject <rule>", 'header on the way out: "API_KEY@api.example.com X-Api-Key"; repeat', collect, [])
    .action(async (id: string, own) => {
      const { networkCommand } = await import("./commands/network.ts");
      await networkCommand(await client(), output(), id, own);
    });
  program
    .command("kill")
    .description("destroy a sandbox")
    .argument("<id>", "the sandbox")
    .action(async (id: string) => (await sandboxes()).killCommand(await client(), output(), id));
  program
    .command("list")
    .alias("ls")
    .description("list sandboxes, newest first")
    .option("--label <key=value>", "only with this label, or with this key; repeat for all of them", collect, [])
    .option("--name <name>", "only of this name")
    .option("--state <state>", "only in this state")
    .addOption(new Option("--sort <field>", "what to sort by, with - before it descending").choices(sorts))
    .action(async (own) => (await sandboxes()).listCommand(await client(), output(), own));
  program
    .command("providers")
    .description("list the server's providers: wall, limits, what is missing, and why one is the default")
    .action(async () => (await providers()).providersCommand(await client(), output()));
  program
    .command("doctor")
    .description("look whether this machine can run sandboxes, and whether its programs have known holes")
    .option("--config <file>", "the server's configuration file")
    .action(async (own) =>
      (await import("./commands/doctor.ts")).doctorCommand(
        await client("ignored"),
        await server("ignored"),
        output(),
        own,
      ),
    );
  program
    .command("version")
    .description("print the version")
    .action(() => {
      const arch = process.arch === "x64" ? "amd64" : process.arch;
      output().result({ version, os: process.platform, arch }, `stacyvm ${version} (${process.platform}/${arch})`);
    });

  program
    .command("completion")
    .description("print what makes a shell complete these commands, for example: source <(stacyvm completion bash)")
    .addArgument(new Argument("<shell>", "a shell").choices(["bash", "zsh", "fish"]))
    .action(async (shell: "bash" | "zsh" | "fish") => {
      const { completionScript } = await import("./completion/script.ts");
      process.stdout.write(completionScript(program, shell));
    });

  addSecretCommands(program, { client, output });

  program
    .command("login")
    .description("log in at the server: in the browser, or with a key; the other commands then use it")
    .option("--key", "read a key from the terminal or from standard input instead")
    .option("--no-browser", "print the address, and open no browser")
    .action(async (own) => (await login()).loginCommand(place(), output(), own));
  program
    .command("logout")
    .description("forget the server's login on this machine")
    .action(async () => (await login()).logoutCommand(flags().server, output()));

  const key = program.command("key").description("named keys of the server, for administrators; with --own one's own");
  const withOwn = (command: Command) =>
    command.option("--own", "your own keys as a member, or, as its administrator, those of the tenant's programs");
  withOwn(key.command("create"))
    .description("make a key and show it this once, for example: stacyvm key create ci --role operator --ttl 720h")
    .addHelpText("after", "\nWith --tenant, and --project, its holder is of that tenant and sees that project alone.")
    .argument("<name>", "what it is for")
    .addOption(new Option("--role <role>", "what its holder may do; api where absent").choices(keyRoles))
    .option("--ttl <duration>", "how long it counts; until it is revoked where absent")
    .action(async (name: string, own) =>
      (await keys()).createKey(await client(), output(), name, { ...own, ...place() }),
    );
  withOwn(key.command("list").alias("ls"))
    .description("list keys, newest first, revoked ones too")
    .action(async (own) => (await keys()).listKeys(await client(), output(), own));
  withOwn(key.command("revoke"))
    .description("take a key back, at once")
    .argument("<id>", "the key's id, as list shows it")
    .action(async (id: string, own) => (await keys()).revokeKey(await client(), output(), id, own));

  addTenantCommands(program, { client, tenantClient, output });

  const image = program.command("image").description("images of this host (where the server runs)");
  const withConfig = (command: Command) => command.option("--config <file>", "the server's configuration file");
  withConfig(image.command("pull").description("pull from a registry").argument("<reference>")).action(
    async (reference: string, own) => (await images()).pullImage(output(), reference, own),
  );
  withConfig(
    image
      .command("import")
      .description("bring in a root file system tar, an OCI layout or a Docker archive")
      .argument("<reference>", "the name it gets")
      .argument("<file>", "file or directory"),
  ).action(async (reference: string, file: string, own) =>
    (await images()).importImage(output(), reference, file, own),
  );
  withConfig(image.command("list").alias("ls").description("list images")).action(async (own) =>
    (await images()).listImages(output(), own),
  );
  withConfig(image.command("rm").description("remove an image").argument("<reference>")).action(
    async (reference: string, own) => (await images()).removeImage(output(), reference, own),
  );
  withConfig(
    image
      .command("gc")
      .description("remove pulled images that nobody has used for long, for example: stacyvm image gc --dry-run")
      .option("--dry-run", "tell what would be removed, and remove nothing")
      .option("--max-size <size>", "most that all images may take, for example 20g; images.gc.max_size where absent")
      .option(
        "--max-age <duration>",
        "longest time since the last use, for example 168h; images.gc.max_age where absent",
      ),
  ).action(async (own) => (await images()).collectImages(output(), own));
  withConfig(
    image
      .command("build-base")
      .description("make a Debian base from this host's package sources")
      .argument("[reference]", "the name it gets; stacyvm/base or stacyvm/code where absent")
      .option("--suite <name>", "Debian or Ubuntu release; this host's where absent")
      .addOption(
        new Option("--variant <variant>", "code has Python, Node, git and a C toolchain besides")
          .choices(["minimal", "code"])
          .default("minimal"),
      ),
  ).action(async (reference: string | undefined, own) => (await images()).buildBaseImage(output(), reference, own));
  return program;
}

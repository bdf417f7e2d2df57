import { type Command, Option } from "commander";
import type { Client } from "stacyvm";
import type { Output } from "./output.ts";

/** What a command needs of the command line as a whole. */
export interface ProgramReach {
  client(): Promise<Client>;
  /** Like `client`, but in no project of the tenant. */
  tenantClient(): Promise<Client>;
  output(): Output;
}

const memberRoles = ["viewer", "operator", "admin"];
const ofTenant = "\nThe tenant is the caller's own, or the one that --tenant or $STACYVM_TENANT names.";

/** Adds what governs tenants and what is in them, and the settings of a running server. */
export function addTenantCommands(program: Command, reach: ProgramReach): void {
  addTenants(program, reach);
  addProjects(program, reach);
  addMembers(program, reach);
  addRegistryCredentials(program, reach);
  addConfig(program, reach);
}

function addTenants(program: Command, { client, output }: ProgramReach): void {
  const tenants = () => import("./commands/tenants.ts");
  const tenant = program.command("tenant").description("tenants of the server, for administrators");
  const withFields = (command: Command) =>
    command
      .option("--owner <id>", "whose it is")
      .option("--settings <json>", `anything of yours, for example '{"tier": "gold"}'`);
  withFields(
    tenant
      .command("create")
      .description("make a tenant, for example: stacyvm tenant create acme --name 'Acme Inc.'")
      .argument("<id>", "letters, digits, dot, _ and -")
      .option("--name <name>", "its name; the id where absent"),
  ).action(async (id: string, own) => (await tenants()).createTenant(await client(), output(), id, own));
  tenant
    .command("list")
    .alias("ls")
    .description("list tenants, newest first")
    .action(async () => (await tenants()).listTenants(await client(), output()));
  tenant
    .command("show")
    .description("show a tenant with its projects and members, or your own and your role there")
    .argument("[id]", "the tenant, for administrators of the server; your own where absent")
    .action(async (id: string | undefined) => (await tenants()).showTenant(await client(), output(), id));
  withFields(
    tenant
      .command("update")
      .description("change a tenant; what is left out stays")
      .argument("<id>", "the tenant")
      .option("--name <name>", "its name"),
  ).action(async (id: string, own) => (await tenants()).updateTenant(await client(), output(), id, own));
  tenant
    .command("delete")
    .alias("rm")
    .description("delete a tenant with its projects and members, once nothing else of it is left")
    .argument("<id>", "the tenant")
    .option("--cascade", "end its sandboxes, templates and keys first")
    .action(async (id: string, own) => (await tenants()).deleteTenant(await client(), output(), id, own));
}

function addProjects(program: Command, { client, tenantClient, output }: ProgramReach): void {
  const projects = () => import("./commands/projects.ts");
  const project = program
    .command("project")
    .description("projects, walls inside a tenant")
    .addHelpText("after", ofTenant);
  project
    .command("create")
    .description("make a project, for example: stacyvm project create web --tenant acme")
    .argument("<id>", "letters, digits, dot, _ and -")
    .option("--name <name>", "its name; the id where absent")
    .action(async (id: string, own) => (await projects()).createProject(await tenantClient(), output(), id, own));
  project
    .command("list")
    .alias("ls")
    .description("list projects, oldest first")
    .action(async () => (await projects()).listProjects(await client(), output()));
  project
    .command("delete")
    .alias("rm")
    .description("delete a project with its members, once nothing else of it is left")
    .argument("<id>", "the project")
    .action(async (id: string) => (await projects()).deleteProject(await tenantClient(), output(), id));
}

function addMembers(program: Command, { client, output }: ProgramReach): void {
  const members = () => import("./commands/members.ts");
  const member = program
    .command("member")
    .description("who has which role in a tenant, or with --project in one of its projects")
    .addHelpText("after", ofTenant);
  const withUser = (command: Command) =>
    command
      .argument("<user>", "the subject of the issuer's tokens")
      .option("--issuer <url>", "whose subject it is; the server's configured issuer where absent");
  withUser(
    member.command("add").description("give somebody a role, for example: stacyvm member add ann --role operator"),
  )
    .addOption(new Option("--role <role>", "what they may do").choices(memberRoles).makeOptionMandatory())
    .action(async (user: string, own) => (await members()).addMember(await client(), output(), user, own));
  member
    .command("list")
    .alias("ls")
    .description("list members, oldest first")
    .action(async () => (await members()).listMembers(await client(), output()));
  withUser(
    member.command("remove").alias("rm").description("take a role away; the member's own keys end with it"),
  ).action(async (user: string, own) => (await members()).removeMember(await client(), output(), user, own));
}

function addRegistryCredentials(program: Command, { tenantClient, output }: ProgramReach): void {
  const credentials = () => import("./commands/registry-credentials.ts");
  const credential = program
    .command("registry-credential")
    .description("what a tenant shows to image registries")
    .addHelpText("after", ofTenant);
  credential
    .command("set")
    .description("give a credential; the password is typed, or read from standard input")
    .argument("<registry>", "as image names spell it: registry.example.com:5000, docker.io for Docker Hub")
    .requiredOption("--username <name>", "whose it is at the registry")
    .action(async (registry: string, own) =>
      (await credentials()).setRegistryCredential(await tenantClient(), output(), registry, own),
    );
  credential
    .command("list")
    .alias("ls")
    .description("list registries and users, never passwords")
    .action(async () => (await credentials()).listRegistryCredentials(await tenantClient(), output()));
  credential
    .command("rm")
    .description("delete a credential")
    .argument("<registry>", "the registry, as list shows it")
    .action(async (registry: string) =>
      (await credentials()).removeRegistryCredential(await tenantClient(), output(), registry),
    );
}

function addConfig(program: Command, { client, output }: ProgramReach): void {
  const config = () => import("./commands/config.ts");
  const settings = program
    .command("config")
    .description("settings that may change while the server runs, for administrators");
  settings
    .command("show")
    .description("show them, and which were changed since the server's start")
    .action(async () => (await config()).showConfig(await client(), output()));
  settings
    .command("set")
    .description(
      "change settings at once, until the server's restart, for example: stacyvm config set defaults.max_ttl=2h",
    )
    .argument("<pairs...>", "SETTING=VALUE, as show names them")
    .action(async (pairs: readonly string[]) => (await config()).setConfig(await client(), output(), pairs));
}

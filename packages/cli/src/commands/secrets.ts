import { open } from "node:fs/promises";
import type { Client } from "stacyvm";
import { localFailure } from "../copy/local-failure.ts";
import { UsageFailure } from "../failure.ts";
import { readHidden } from "../hidden-input.ts";
import { minute } from "../minute.ts";
import type { Output } from "../output.ts";
import { table } from "../table.ts";

export interface SecretFlags {
  readonly host: readonly string[];
  readonly owner?: readonly string[];
  readonly fromFile?: string;
  readonly fromEnv?: string;
}

/** Longest value, bytes, with the newline behind it; the server takes 32,768. */
const valueMaxBytes = 32_770;

async function fromFile(path: string): Promise<string> {
  let read: { readonly bytesRead: number; readonly buffer: Buffer };
  try {
    await using file = await open(path);
    read = await file.read(Buffer.alloc(valueMaxBytes + 1));
  } catch (error) {
    const isFolder = error instanceof Error && "code" in error && error.code === "EISDIR";
    throw isFolder ? new UsageFailure(`${path} is a directory, and no file`) : localFailure(error, path);
  }
  if (read.bytesRead > valueMaxBytes) throw new UsageFailure(`${path} is longer than a secret may be, 32768 bytes`);
  return read.buffer.toString("utf8", 0, read.bytesRead).replace(/\r?\n$/, "");
}

async function valueFrom(output: Output, name: string, flags: SecretFlags): Promise<string> {
  if (flags.fromFile !== undefined && flags.fromEnv !== undefined) {
    throw new UsageFailure("--from-file and --from-env are both given: a secret has one value");
  }
  if (flags.fromEnv !== undefined) {
    const value = process.env[flags.fromEnv];
    if (value === undefined || value === "")
      throw new UsageFailure(`the variable ${flags.fromEnv} is not set, or empty`);
    return value;
  }
  if (flags.fromFile !== undefined) {
    const value = await fromFile(flags.fromFile);
    if (value === "") throw new UsageFailure(`${flags.fromFile} is empty`);
    return value;
  }
  const value = await readHidden(output, { what: "value", maxBytes: valueMaxBytes });
  if (value !== "") return value;
  throw new UsageFailure(
    `no value was given: type it, or pipe it in, for example: stacyvm secret set ${name} --host api.example.com < file`,
  );
}

export async function setSecret(client: Client, output: Output, name: string, flags: SecretFlags): Promise<void> {
  const value = await valueFrom(output, name, flags);
  const saved = await client.secrets.set(name, value, { hosts: [...flags.host], owners: [...(flags.owner ?? [])] });
  output.result(saved, `${saved.name} is set, version ${saved.version}; it is sent to ${saved.hosts.join(", ")} alone`);
}

export async function listSecrets(client: Client, output: Output): Promise<void> {
  const all = await client.secrets.list();
  const heading = ["NAME", "VERSION", "HOSTS", "OWNERS", "SET", "LAST USED", "CREATED BY"];
  const rows = all.map((one) => [
    one.name,
    String(one.version),
    one.hosts.join(","),
    one.owners.join(",") || "-",
    minute(one.updated_at),
    minute(one.last_used_at),
    one.created_by,
  ]);
  const column = (name: string) => heading.indexOf(name);
  const layout = {
    elastic: [column("HOSTS"), column("CREATED BY"), column("OWNERS"), column("NAME")],
    expendable: [column("CREATED BY"), column("SET"), column("OWNERS"), column("LAST USED")],
    cut: "end",
    width: output.width,
  } as const;
  output.result(all, all.length === 0 ? "No secrets" : table([heading, ...rows], layout));
}

export async function removeSecret(client: Client, output: Output, name: string): Promise<void> {
  await client.secrets.delete(name);
  output.result({ name, status: "deleted" }, `${name} is deleted`);
}

export async function rotateSecrets(client: Client, output: Output): Promise<void> {
  const done = await client.secrets.rotate();
  const kept =
    done.kept === 0
      ? ""
      : `; ${done.kept} stay as they are, because none of the server's keys opens them (its log names them)`;
  output.result(done, `${done.resealed} encrypted anew${kept}`);
}

import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { StacyError } from "@stacyvm/contract";
import type Docker from "dockerode";
import {
  type EngineAsker,
  type EngineImages,
  type ImageRoot,
  type ImageUser,
  notMadeYet,
} from "../../images/image-store.ts";
import { KeyMutex } from "../../lib/key-mutex.ts";
import { engineWords, ignoreMissing, statusOf } from "./engine.ts";

/** An image in the engine's store. */
export interface EngineImage {
  /** What a container is made from: a tag may move meanwhile. */
  readonly id: string;
  /** Content address, `sha256:` and 64 hex digits. */
  readonly digest: string;
  readonly env: Readonly<Record<string, string>>;
  /** Of the registry that the engine has it from; undefined for what was made or loaded there. */
  readonly manifest?: string | undefined;
}

export interface PullNote {
  readonly reference: string;
  readonly phase: "pull" | "load" | "done" | "failed";
  readonly message: string;
}

export interface EngineImagesOptions {
  readonly images: EngineImages;
  readonly onNote: (note: PullNote) => void;
}

/** Time that a pull, or the loading of a tree, may take, milliseconds. */
const pullMs = 15 * 60_000;
/** Time between two notes on one pull, milliseconds. */
const noteIntervalMs = 5_000;
/** Of a progress line that an engine sends, bytes; a longer one is no progress. */
const progressLineBytes = 64 * 1024;
/** Names of trees that were loaded from our store; no registry has that name. */
const treeRepository = "stacyvm.invalid/tree";

/** Finds a sandbox's image in the engine's store, or brings it there: from our store, else from its registry. */
export const engineImages = ({ images, onNote }: EngineImagesOptions) => {
  const bringing = new KeyMutex();

  const find = async (client: Docker, name: string): Promise<EngineImage | undefined> => {
    try {
      const found = await client.getImage(name).inspect();
      const repository = name.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
      const known = found.RepoDigests?.find((digest) => digest.startsWith(`${repository}@`)) ?? found.RepoDigests?.[0];
      return {
        id: found.Id,
        digest: known?.replace(/^.*@/, "") ?? found.Id,
        env: environment(found.Config?.Env ?? []),
        manifest: known?.replace(/^.*@/, ""),
      };
    } catch (error) {
      return ignoreMissing(error);
    }
  };

  const load = async (client: Docker, root: ImageRoot, signal: AbortSignal): Promise<EngineImage> => {
    const name = `${treeRepository}:${root.digest.replace("sha256:", "")}`;
    const there = await find(client, name);
    if (there === undefined) await importTree(client, root, name, signal);
    const image = there ?? (await find(client, name));
    if (image === undefined) throw new StacyError("spawn_failed", `the engine took ${root.digest} and doesn't have it`);
    return { id: image.id, digest: root.digest, env: root.env };
  };

  const pull = async (client: Docker, reference: string, asker: EngineAsker, signal: AbortSignal): Promise<void> => {
    const login = await asker.login(signal);
    const within = AbortSignal.any([signal, AbortSignal.timeout(pullMs)]);
    try {
      const stream = (await client.pull(reference, {
        abortSignal: within,
        ...(login === undefined ? {} : { authconfig: login }),
      })) as unknown as Readable;
      await follow(stream, within, (message) => onNote({ reference, phase: "pull", message }));
    } catch (error) {
      signal.throwIfAborted();
      onNote({ reference, phase: "failed", message: "the engine could not pull it" });
      const missing = statusOf(error) === 404;
      throw new StacyError(
        missing ? "image_not_found" : "image_pull_failed",
        `image: ${reference}: ${engineWords(error)}`,
        {
          cause: error,
        },
      );
    }
  };

  /** Whether what the engine has is for the asker: of what a registry gave, the registry says so. */
  const isFor = async ({ manifest }: EngineImage, asker: EngineAsker, signal: AbortSignal): Promise<boolean> =>
    !asker.mustAsk || manifest === undefined || (await asker.mayHave(manifest, signal));

  return {
    /** What the user may have. Throws invalid_input, image_not_found or image_pull_failed. */
    async resolve(client: Docker, asked: string, user: ImageUser, signal: AbortSignal): Promise<EngineImage> {
      const { reference, isLocal } = images.name(asked);
      const asker = await images.asker(reference, user);
      const own = async (): Promise<EngineImage | undefined> => {
        const there = await find(client, reference);
        return there !== undefined && (await isFor(there, asker, signal)) ? there : undefined;
      };
      const there = isLocal ? undefined : await own();
      if (there !== undefined) return there;
      // One after the other for each name: who waited finds what the first one brought.
      return await bringing.run(reference, async () => {
        signal.throwIfAborted();
        using stored = await images.useStored(reference, signal, user);
        if (stored !== undefined) {
          onNote({ reference, phase: "load", message: `loading ${stored.root.digest} into the engine` });
          return await load(client, stored.root, signal);
        }
        if (isLocal) throw notMadeYet(reference);
        const meanwhile = await own();
        if (meanwhile !== undefined) return meanwhile;
        await pull(client, reference, asker, signal);
        const pulled = await find(client, reference);
        if (pulled === undefined)
          throw new StacyError("image_pull_failed", `image: ${reference} is not there after its pull`);
        // Asked for by its digest, the engine takes what it has for pulled.
        if (!(await isFor(pulled, asker, signal))) {
          throw new StacyError("image_not_found", `image: ${reference}: the registry doesn't let this tenant have it`);
        }
        onNote({ reference, phase: "done", message: `${reference} is ${pulled.digest}` });
        return pulled;
      });
    },
  };
};

const environment = (entries: readonly string[]): Record<string, string> =>
  Object.fromEntries(entries.map((entry) => [entry.replace(/=.*$/s, ""), entry.replace(/^[^=]*=?/s, "")]));

/** Reads an engine's progress to its end; throws what it says went wrong. */
const follow = async (stream: Readable, signal: AbortSignal, note: (message: string) => void): Promise<void> => {
  let pending = "";
  let notedAtMs = Number.NEGATIVE_INFINITY;
  const abort = () => stream.destroy(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    for await (const chunk of stream) {
      pending += String(chunk);
      const lines = pending.split("\n");
      pending = (lines.pop() ?? "").slice(0, progressLineBytes);
      for (const line of lines) {
        const said = progress(line);
        if (said.error !== undefined)
          throw Object.assign(new Error(said.error), { statusCode: said.missing ? 404 : 500 });
        if (said.status === undefined || performance.now() - notedAtMs < noteIntervalMs) continue;
        notedAtMs = performance.now();
        note(said.status.slice(0, 200));
      }
    }
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", abort);
  }
};

const progress = (line: string): { status?: string; error?: string; missing?: boolean } => {
  try {
    const { status, error, id, progress: bar } = JSON.parse(line);
    if (typeof error === "string") return { error, missing: /not found|manifest unknown/i.test(error) };
    return typeof status === "string" ? { status: [id, status, bar].filter(Boolean).join(" ") } : {};
  } catch {
    return {};
  }
};

/** The tree goes in as one layer, with the owners and capabilities of its files. */
const importTree = async (client: Docker, root: ImageRoot, name: string, signal: AbortSignal): Promise<void> => {
  const within = AbortSignal.any([signal, AbortSignal.timeout(pullMs)]);
  const argv = [
    "--numeric-owner",
    "--xattrs",
    "--xattrs-include=security.capability",
    "-C",
    root.rootfsPath,
    "-cf",
    "-",
    ".",
  ];
  const tar = spawn("tar", argv, { stdio: ["ignore", "pipe", "ignore"], signal: within });
  const ended = new Promise<void>((resolve, reject) => {
    tar.once("error", reject);
    tar.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`tar ended with ${code}`))));
  });
  ended.catch(() => {}); // Told below, once the engine has let go of its end.
  const [repo, tag] = name.split(/:(?=[^:]*$)/) as [string, string];
  try {
    const answer = (await client.importImage(tar.stdout, {
      repo,
      tag,
      changes: [`LABEL stacyvm.digest=${root.digest}`],
      abortSignal: within,
    } as object)) as unknown as Readable;
    await follow(answer, within, () => {});
    await ended;
  } catch (error) {
    tar.kill("SIGKILL");
    // Half a tree may have got a name.
    await client
      .getImage(name)
      .remove({ force: true })
      .catch(() => {});
    signal.throwIfAborted();
    throw new StacyError(
      "spawn_failed",
      `image: ${root.digest} could not be loaded into the engine: ${engineWords(error)}`,
      {
        cause: error,
      },
    );
  }
};

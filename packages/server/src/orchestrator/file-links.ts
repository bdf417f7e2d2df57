import type { Readable } from "node:stream";
import { StacyError } from "@stacyvm/contract";
import type { FileContent, ReadFileOptions } from "../guest/guest.ts";
import { type FileLink, isFileLinkSignedBy, signFileLink } from "../sandbox/file-link.ts";
import { guestPath } from "../sandbox/guest-path.ts";
import { everywhere } from "../sandbox/scope.ts";
import type { Caller, Context } from "./context.ts";
import { defaultFileMode, type FileTarget, fileOperations } from "./files.ts";
import { findSandbox } from "./find.ts";
import { measured } from "./measure.ts";

/** The longest life of a link, milliseconds. */
const linkLifeMaxMs = 7 * 24 * 3_600_000;
/** The life of a link that names none, milliseconds. */
const defaultLinkLifeMs = 3_600_000;

/** Who the audit says it was when a link is used: whoever had it. */
const bearer: Caller = { actor: "file link", scope: everywhere };

/** A link as it comes in an address, word for word. */
export interface SentFileLink {
  readonly sandboxId: string;
  readonly path: string;
  readonly expires: string;
  readonly signature: string;
  readonly signal: AbortSignal;
}

export interface SignedFileLink extends FileLink {
  readonly signature: string;
}

/** Links that read or write one file and need no key. Each sandbox has a key of its own; without it they are worthless. */
export function fileLinkUseCases(context: Context) {
  const files = fileOperations(context);

  /** One answer to everything that is wrong: a link tells nothing to whom it was not given. */
  const open = async (sent: SentFileLink, operation: FileLink["operation"]): Promise<FileTarget> => {
    const { sandboxId, path, expires, signature, signal } = sent;
    const [key, record] = await Promise.all([
      context.store.fileLinkKeys.get(sandboxId),
      context.store.sandboxes.get(sandboxId),
    ]);
    const expiresAtS = /^[1-9]\d{0,14}$/.test(expires) ? Number(expires) : 0;
    const valid =
      key !== undefined &&
      isFileLinkSignedBy(key, { sandboxId, operation, path, expiresAtS }, signature) &&
      context.clock.now() < expiresAtS * 1000 &&
      record !== undefined &&
      record.state !== "destroyed";
    if (!valid) {
      throw new StacyError("link_refused", "the link is not valid for this, has expired, or was revoked");
    }
    return { id: sandboxId, caller: bearer, signal };
  };

  return {
    /** Throws invalid_input for a life outside of what is allowed. */
    sign: (
      { id, caller }: FileTarget,
      wanted: { readonly operation: FileLink["operation"]; readonly path: string; readonly lifeMs?: number },
    ): Promise<SignedFileLink> => {
      const what = { operation: "link", action: "file.sign", sandboxId: id, resource: wanted.path, caller } as const;
      return measured(context, what, async (facts) => {
        const lifeMs = wanted.lifeMs ?? defaultLinkLifeMs;
        if (lifeMs < 1000 || lifeMs > linkLifeMaxMs) {
          throw new StacyError("invalid_input", "invalid input: expires_in must be from 1s to 168h");
        }
        const path = guestPath(wanted.path);
        facts.record = await findSandbox(context, id, caller);
        const nowMs = context.clock.now();
        const expiresAtS = Math.floor((nowMs + lifeMs) / 1000);
        const link: FileLink = { sandboxId: id, operation: wanted.operation, path, expiresAtS };
        const key = await context.store.fileLinkKeys.ensure(id, context.ids.fileLinkKey(), nowMs);
        facts.detail = `operation=${wanted.operation} expires=${expiresAtS}`;
        return { ...link, signature: signFileLink(key, link) };
      });
    },

    revoke: ({ id, caller }: FileTarget): Promise<void> => {
      const what = { operation: "link", action: "file.revoke_links", sandboxId: id, resource: "", caller } as const;
      return measured(context, what, async (facts) => {
        facts.record = await findSandbox(context, id, caller);
        await context.store.fileLinkKeys.delete(id);
      });
    },

    /** Throws link_refused. */
    read: async (sent: SentFileLink, options: ReadFileOptions): Promise<FileContent> =>
      await files.read(await open(sent, "read"), sent.path, options),

    /** Throws link_refused before a byte of the content is read. */
    write: async (sent: SentFileLink, content: Readable): Promise<void> =>
      await files.write(await open(sent, "write"), sent.path, content, defaultFileMode),
  };
}

import { type fileLinkOperations, StacyError } from "@stacyvm/contract";
import type { SentFileLink, SignedFileLink } from "../../orchestrator/file-links.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { HandlersOf, OperationRequest } from "../handler.ts";
import { durationOf } from "./caller.ts";
import { contentAnswer, contentHead, readOptions, targetOf } from "./files.ts";
import { rfc3339Seconds } from "./wire-time.ts";

interface LinkRequest extends Pick<OperationRequest, "raw" | "signal"> {
  readonly params: { readonly id: string };
  readonly query: Readonly<Partial<Record<"path" | "expires" | "signature", string | undefined>>>;
}

/** The three parameters, each once: the decoder keeps the first of two and says nothing. */
const sentLink = ({ params, query, raw, signal }: LinkRequest): SentFileLink => {
  const { path = "", expires = "", signature = "" } = query;
  const parameters = (raw.url ?? "").split("?", 2)[1]?.split("&") ?? [];
  if (parameters.length !== 3) {
    throw new StacyError("link_refused", "the link has parameters that it was not made with");
  }
  return { sandboxId: params.id, path, expires, signature, signal };
};

const address = (publicUrl: string, { sandboxId, path, expiresAtS, signature }: SignedFileLink): string => {
  const query = new URLSearchParams({ path, expires: String(expiresAtS), signature });
  return `${publicUrl.replace(/\/+$/, "")}/api/v1/sandboxes/${sandboxId}/files/signed?${query}`;
};

export const fileLinkHandlers = (options: {
  readonly useCases: UseCases;
  readonly publicUrl: string;
}): HandlersOf<typeof fileLinkOperations> => {
  const { fileLinks } = options.useCases;
  return {
    "files.sign": async (request) => {
      const { operation, path, expires_in: life } = request.body;
      const lifeMs = life === undefined ? {} : { lifeMs: durationOf(life, "invalid input: expires_in") };
      const link = await fileLinks.sign(targetOf(request), { operation, path, ...lifeMs });
      const expires_at = rfc3339Seconds(link.expiresAtS * 1000);
      return { status: 201, body: { url: address(options.publicUrl, link), expires_at } };
    },
    "files.revokeLinks": async (request) => {
      await fileLinks.revoke(targetOf(request));
      return { status: 200, body: { status: "revoked" } };
    },
    "files.readSigned": async (request) => {
      const link = sentLink(request);
      return contentAnswer(await fileLinks.read(link, readOptions(request.headers, "GET")), link.path);
    },
    "files.headSigned": async (request) => {
      const link = sentLink(request);
      return contentHead(await fileLinks.read(link, readOptions(request.headers, "HEAD")), link.path);
    },
    "files.writeSigned": async (request) => {
      await fileLinks.write(sentLink(request), request.body);
      return { status: 200, body: { status: "written" } };
    },
  };
};

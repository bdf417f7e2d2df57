import { type ErrorReason, StacyError } from "@stacyvm/contract";
import { z } from "zod";
import { errnoOf } from "./errno.ts";
import { ToolError } from "./run-tool.ts";

/** A catalogued error for whatever went wrong with an image from outside; what is catalogued already passes through. */
export function asImportFailure(error: unknown, reason: ErrorReason, subject: string): unknown {
  if (error instanceof StacyError) return error;
  if (error instanceof Error && error.name === "AbortError") return error;
  if (errnoOf(error) === "ENOSPC") {
    return new StacyError("host_disk_low", `${subject}: the image store's disk is full`, {
      cause: error,
      remediation: "Free space in the data directory, or remove images with: stacyvm image rm <name>",
    });
  }
  return new StacyError(reason, `${subject}: ${explain(error)}`, { cause: error });
}

function explain(error: unknown): string {
  if (error instanceof ToolError)
    return `${error.message}: ${error.stderr.trim().split("\n").at(-1) ?? ""}`.slice(0, 500);
  if (error instanceof z.ZodError || error instanceof SyntaxError) return "a document of the image is malformed";
  const code = errnoOf(error);
  if (code === "ENOENT") return "it doesn't exist, or a part of it is missing";
  if (code === "EACCES" || code === "EISDIR" || code === "ELOOP") return `it can't be read (${code})`;
  return error instanceof Error ? error.message.slice(0, 500) : "it can't be read";
}

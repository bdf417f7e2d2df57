import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { StacyError } from "@stacyvm/contract";
import type { FolderEvent, WatchFolder } from "../guest-watch.ts";
import {
  EventType,
  type FilesystemEvent,
  WatchDirRequestSchema,
  WatchDirResponseSchema,
} from "../wire/filesystem/filesystem_pb.js";
import { pathMax } from "./entries.ts";
import { unexpected } from "./envelope.ts";
import { envelopes } from "./envelopes.ts";
import { endFailure, post } from "./exec.ts";
import { guestFailure } from "./failures.ts";
import type { Answer, PlainConnections } from "./plain-connections.ts";

const watchPath = "/filesystem.Filesystem/WatchDir";
/** How often a quiet watch shows that it lives, seconds. */
const keepaliveSeconds = 15;

const changes: Partial<Record<EventType, "created" | "written" | "removed" | "renamed" | "mode_changed">> = {
  [EventType.CREATE]: "created",
  [EventType.WRITE]: "written",
  [EventType.REMOVE]: "removed",
  [EventType.RENAME]: "renamed",
  [EventType.CHMOD]: "mode_changed",
};

/** On a connection of its own: a reader that stalls must hold up nobody else's calls. */
export const watchFolder = (connections: PlainConnections): WatchFolder =>
  async function* (path, { recursive }, signal) {
    const request = create(WatchDirRequestSchema, { path, recursive, allowNetworkMounts: true });
    try {
      const headers = { "keepalive-ping-interval": String(keepaliveSeconds) };
      const answer = await post(connections, watchPath, toBinary(WatchDirRequestSchema, request), signal, headers);
      yield* events(answer, path);
    } catch (error) {
      throw guestFailure(error, signal, { [Code.InvalidArgument]: "not_a_directory" });
    }
  };

async function* events({ status, body }: Answer, root: string): AsyncGenerator<FolderEvent> {
  if (status !== 200) {
    body.discard();
    throw new StacyError("guest_protocol", `the sandbox's agent answered watch with status ${status}`);
  }
  let live = false;
  for await (const { end, payload } of envelopes(body)) {
    if (end) {
      const last = live ? lastEvent(endFailure(payload)) : undefined;
      if (last === undefined) throw endFailure(payload) ?? unexpected("the end of a watch without a reason");
      yield last;
      return;
    }
    const { event } = fromBinary(WatchDirResponseSchema, payload);
    if (event.case === "start") {
      live = true;
      yield { type: "live" };
    } else if (event.case === "filesystem") yield change(event.value, root);
    else if (event.case === "keepalive") yield { type: "keepalive" };
    else throw unexpected("an event of an unknown kind");
  }
  throw new StacyError("guest_unreachable", "the sandbox's agent ended a watch without a reason");
}

function lastEvent(failure: ConnectError | undefined): FolderEvent | undefined {
  if (failure?.code === Code.ResourceExhausted) return { type: "overflow" };
  return failure?.code === Code.NotFound ? { type: "gone" } : undefined;
}

/** Throws guest_protocol on what can't be. */
function change({ name, type }: FilesystemEvent, root: string): FolderEvent {
  const kind = changes[type];
  const path = name === "" ? root : `${root === "/" ? "" : root}/${name}`;
  if (kind === undefined || path.length > pathMax || name.startsWith("/")) {
    throw unexpected("a change that can't be");
  }
  return { type: kind, path };
}

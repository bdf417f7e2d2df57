import { type configOperations, StacyError } from "@stacyvm/contract";
import type { FastifyBaseLogger } from "fastify";
import { type LiveConfig, liveValues } from "../../config/live.ts";
import { ConfigError } from "../../config/problem.ts";
import type { Clock } from "../../lib/clock.ts";
import { placeOf } from "../../sandbox/scope.ts";
import type { OperationAudit } from "../../store/store.ts";
import type { HandlersOf } from "../handler.ts";
import { callerOf } from "./caller.ts";

export interface ConfigHandlersOptions {
  readonly liveConfig: LiveConfig;
  readonly audit: (row: OperationAudit) => void;
  readonly clock: Clock;
  readonly log: Pick<FastifyBaseLogger, "info">;
}

/** Longest resource and detail of an audit row, characters. */
const auditTextMax = 2048;

const refused = (error: ConfigError): StacyError => {
  const settings = error.problems.map(({ path, message, hint }) => ({ setting: path, message, remediation: hint }));
  const told = error.problems.map(({ message, hint }) => (hint === "" ? message : `${message} (${hint})`)).join("; ");
  return new StacyError("invalid_input", `nothing was changed: ${told}`, { details: { settings } });
};

export const configHandlers = ({
  liveConfig,
  audit,
  clock,
  log,
}: ConfigHandlersOptions): HandlersOf<typeof configOperations> => {
  const view = () => ({ settings: { ...liveValues(liveConfig.current) }, changed: [...liveConfig.changed] });
  return {
    "config.get": async () => ({ status: 200, body: view() }),

    "config.update": async ({ body, identity }) => {
      const { actor, scope } = callerOf(identity);
      const { tenantId } = placeOf(scope);
      const note = (status: OperationAudit["status"], resource: string, detail: string): void =>
        audit({
          actor,
          action: "config.update",
          sandboxId: "",
          resource: resource.slice(0, auditTextMax),
          provider: "",
          status,
          detail: detail.slice(0, auditTextMax),
          tenantId,
          createdAtMs: clock.now(),
        });
      try {
        const changes = liveConfig.change(body);
        const detail = changes.map(({ path, before, after }) => `${path}: ${before} -> ${after}`).join(", ");
        note("success", changes.map(({ path }) => path).join(" "), detail);
        log.info({ actor, changes }, "settings changed");
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        // What was sent may be a secret in the wrong place: settings are named, values are not.
        note("failure", error.problems.map(({ path }) => path).join(" "), `${error.problems.length} problem(s)`);
        throw refused(error);
      }
      const message =
        "The settings count from now on, until a restart; the configuration file is unchanged. Write them there to keep them.";
      return { status: 200, body: { status: "updated", message, ...view() } };
    },
  };
};

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sandboxesOf } from "./api.ts";
import type { FaultGround } from "./ground.ts";
import { ownedBy } from "./owned.ts";
import { type FaultHost, makeFaultHost, type ServerProcess } from "./server-process.ts";
import { configOf, faultTargets } from "./targets.ts";

describe.runIf(process.getuid?.() === 0).each(faultTargets.filter(({ usesHostHelper }) => usesHostHelper))(
  "a silent agent, sandboxes by $provider",
  (target) => {
    const { provider } = target;
    let ground: FaultGround;
    let host: FaultHost;
    let server: ServerProcess;

    beforeAll(async () => {
      ground = await target.ground();
      host = await makeFaultHost(configOf(target, ground));
      server = await host.start();
    });

    afterAll(async () => {
      await host[Symbol.asyncDispose]();
      await ground[Symbol.asyncDispose]();
    });

    it("an agent that says nothing is given up after the command's deadline, and serves again when it wakes", async () => {
      const sandboxes = sandboxesOf(server.url);
      const { id } = await sandboxes.spawn(provider);
      const agent = (await ownedBy(host.dataDir)).find(({ sandbox_id }) => sandbox_id === id)?.pid ?? 0;
      process.kill(agent, "SIGSTOP");
      try {
        const answer = await fetch(`${server.url}/api/v1/sandboxes/${id}/exec`, {
          method: "POST",
          body: JSON.stringify({ command: "true", timeout: "1s" }),
        });
        expect(answer.status).toBe(503);
        expect(await answer.json()).toMatchObject({ reason: "guest_unreachable" });
      } finally {
        process.kill(agent, "SIGCONT");
      }
      expect(await sandboxes.sh(id, "echo awake")).toBe("awake\n");
      await sandboxes.destroy(id);
    });
  },
);

import { existsSync } from "node:fs";
import { rename, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Evidence, type Field, judged } from "../attack.ts";

/** A link of the host's engine socket in the place of an agent's, where a sandbox makes its own. */
export const linkInPlaceOfSocket = async (it: Field): Promise<Evidence> => {
  const inside = await it.sh("find / -xdev -type s 2>/dev/null; find /dev /run /tmp -type s 2>/dev/null");
  const socket = join(it.dataRoot, "run", it.runtime.sandboxId, "door/agent.sock");
  if (!existsSync(socket)) return judged(inside.out !== "", inside.out || "no socket of the agent is there inside");
  const [said] = await it.withSandbox({}, async (victim) => {
    const place = join(it.dataRoot, "run", victim.sandboxId, "door");
    const [own, aside] = [join(place, "agent.sock"), join(place, "aside")];
    await it.sh(
      `cd /dev/.stacyvm-door && rm -f agent.sock && ln -s ${it.host.socketPath} agent.sock`,
      {},
      victim.guest,
    );
    if (dirname(own) === place && existsSync(own)) await rename(own, aside);
    await rm(own, { force: true });
    await symlink(it.host.socketPath, own);
    const before = it.host.connections();
    const attached = await it.attach(victim);
    const answer = await attached?.guest.ready(AbortSignal.timeout(3000)).then(
      () => "answered",
      (error) => String(error.reason ?? error),
    );
    await attached?.guest[Symbol.asyncDispose]();
    return { answer, reached: it.host.connections() - before };
  });
  return judged(said.reached > 0, `${said.answer}, ${said.reached} connections to the host's socket`);
};

import { expect } from "vitest";
import { type ProviderSuite, sh, signal } from "./suite.testing.ts";

const script = 'echo "$GREETING|$(pwd)|$(id -u):$(id -g)"; touch mine && stat -c %u:%g mine';

/** What an agent adds to everything that it starts. */
export const settingsContract = (suite: ProviderSuite): void => {
  suite.test("keeps an environment, a directory and a user for everything that it starts", async () => {
    for (const security of suite.provider().capabilities.securityProfiles) {
      await suite.withSandbox({ security }, async ({ guest }) => {
        const wanted = { env: { GREETING: "it's\nhi" }, workdir: "/workspace/deep/er" };
        await guest.configure(wanted, signal());
        const before = (await sh(guest, script)).out;
        const own = before.trimEnd().split("\n").at(-1);
        expect(before).toBe(`it's\nhi|/workspace/deep/er|${own}\n${own}\n`);
        expect((await sh(guest, script, { cwd: "/tmp", env: { GREETING: "no" } })).out).toContain("no|/tmp|");

        const other = guest.configure({ user: "1234:50", workdir: "/workspace/others" }, signal());
        const refusal = await other.then(
          () => undefined,
          (error: unknown) => error,
        );
        // Without root an agent can't become another.
        const may = security === "default" && suite.provider().capabilities.isolation !== "userspace";
        if (may) expect(refusal).toBeUndefined();
        if (security === "restricted") expect(refusal).toBeDefined();
        if (refusal === undefined) {
          expect((await sh(guest, script)).out).toBe("it's\nhi|/workspace/others|1234:50\n1234:50\n");
          expect((await sh(guest, "id -u", { user: own ?? "" })).out).toBe(`${own?.split(":")[0]}\n`);
        } else {
          expect(refusal).toMatchObject({ reason: "invalid_input" });
          expect((await sh(guest, script)).out).toBe(before);
        }
      });
    }
  });

  suite.test("gives the usual directory to the user whom it is told, and no other that is there", async () => {
    const { isolation, securityProfiles } = suite.provider().capabilities;
    // Only where root is inside, and other users are more than its word.
    if (isolation === "userspace" || !securityProfiles.includes("default")) return;
    await suite.withSandbox({ security: "default" }, async ({ guest }) => {
      await guest.configure({ user: "1234", workdir: "/workspace" }, signal());
      expect((await sh(guest, "stat -c %u . && touch mine && echo made")).out).toBe("1234\nmade\n");
      await guest.configure({ workdir: "/etc" }, signal());
      expect((await sh(guest, "pwd; stat -c %u .")).out).toBe("/etc\n0\n");
    });
  });

  suite.each(
    "refuses a user who isn't there and a directory that can't be made, and stays as it was",
    async ({ guest }) => {
      const before = await sh(guest, "id; pwd");
      for (const [settings, message] of [
        [{ user: "nobody-of-that-name", workdir: "/workspace/not-made" }, /user "nobody-of-that-name" does not exist/],
        [{ workdir: "/etc/passwd" }, /workdir \/etc\/passwd: /],
        [{ workdir: "/etc/passwd/below" }, /workdir \/etc\/passwd/],
        [{ workdir: "/proc/nothing" }, /workdir \/proc\/nothing: /],
        [{ env: { "A=B": "" } }, /env name "A=B"/],
      ] as const) {
        const refusal: unknown = await guest.configure(settings, signal()).catch((error: unknown) => error);
        expect(refusal).toMatchObject({ reason: "invalid_input", message: expect.stringMatching(message) });
      }
      expect((await sh(guest, "id; pwd")).out).toBe(before.out);
      expect((await sh(guest, "ls /workspace/not-made 2>&1")).exitCode).not.toBe(0);
    },
  );
};

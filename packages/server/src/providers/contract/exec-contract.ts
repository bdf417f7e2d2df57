import { expect } from "vitest";
import type { ExecEvent } from "../../guest/guest.ts";
import { bytes, outputMaxBytes, type ProviderSuite, sh, shell, signal, text } from "./suite.testing.ts";

/** Commands: what reaches the program, and what comes back. */
export const execContract = (suite: ProviderSuite): void => {
  suite.each("gives argv to the program byte for byte, never to a shell", async ({ guest }) => {
    const argv = ["/bin/printf", "%s|", "$(id)", "a b", "-n", "'\"\\", "line\nbreak", "*", "", "é🙂"];
    const result = await guest.run({ argv, maxOutputBytes: outputMaxBytes }, signal());
    expect(text(result.stdout)).toBe(
      argv
        .slice(2)
        .map((arg) => `${arg}|`)
        .join(""),
    );
    expect(result.exitCode).toBe(0);
  });

  suite.each("reports exit codes, deaths by signal, and a missing program as data", async ({ guest }) => {
    expect((await sh(guest, "exit 7")).exitCode).toBe(7);
    expect(await sh(guest, "kill -TERM $$")).toMatchObject({ exitCode: 143, signal: 15 });
    expect((await guest.run({ argv: ["/no/such/program"], maxOutputBytes: outputMaxBytes }, signal())).exitCode).toBe(
      127,
    );
  });

  suite.each("passes environment, working directory and stdin", async ({ guest }) => {
    const result = await sh(guest, 'echo "$A"; pwd; cat', {
      env: { A: "a\n'$b" },
      cwd: "/tmp",
      stdin: bytes("in"),
    });
    expect(result.out).toBe("a\n'$b\n/tmp\nin");
    expect((await sh(guest, "pwd")).out).toBe("/workspace\n");
  });

  suite.test("runs as the user that was asked for, and under restricted only as 1000", async () => {
    for (const [profile, { guest }] of suite.runtimes) {
      expect((await sh(guest, "id -u")).out).toBe(profile === "restricted" ? "1000\n" : "0\n");
      const other = guest.run({ argv: ["/bin/id", "-u"], user: "1234:1234", maxOutputBytes: outputMaxBytes }, signal());
      if (profile === "restricted") await expect(other).rejects.toMatchObject({ reason: "invalid_input" });
      else if (suite.provider().capabilities.isolation !== "none" || process.getuid?.() === 0)
        expect(text((await other).stdout)).toBe("1234\n");
    }
  });

  suite.each("streams output in the order in which it was written, then the exit", async ({ guest }) => {
    const events: ExecEvent[] = [];
    const script = "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done; exit 3";
    for await (const event of guest.exec({ argv: shell(script) }, signal())) {
      events.push(event.type === "output" ? { ...event, data: Buffer.from(event.data) } : event);
    }
    const output = events.flatMap((event) => (event.type === "output" ? [event.data] : []));
    expect(text(Buffer.concat(output))).toBe(Array.from({ length: 200 }, (_, i) => `${i}\n`).join(""));
    expect(events[0]?.type).toBe("start");
    expect(events.at(-1)).toMatchObject({ type: "exit", exitCode: 3 });
  });

  suite.each("keeps the head of output beyond the cap and says that it was cut", async ({ guest }) => {
    const result = await guest.run(
      { argv: shell("head -c 300000 /dev/zero; echo end >&2"), maxOutputBytes: 1000 },
      signal(),
    );
    expect(result.stdout.length + result.stderr.length).toBe(1000);
    expect(result).toMatchObject({ truncated: true, exitCode: 0 });
  });

  suite.each("gives commands no descriptor above 2", async ({ guest }) => {
    // No pipe in the shell: it would hold an end of it.
    expect((await sh(guest, "ls /proc/$$/fd; :")).out).toBe("0\n1\n2\n");
  });
};

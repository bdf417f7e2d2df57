import type { World } from "../world.ts";
import { unique } from "./deed.ts";

/** A sandbox of tenant acme, project web, with a file, an app that listens, a process that runs and one that has ended. */
export const makeBox = async ({ adminInWeb, does }: World) => {
  const inWeb = <T>(method: string, path: string, body?: object | string): Promise<T> =>
    does<T>(method, path, body, adminInWeb);

  const newSandbox = async (more: object = {}): Promise<string> =>
    (await inWeb<{ id: string }>("POST", "/sandboxes", more)).id;
  const box = await newSandbox();
  const inBox = `/sandboxes/${box}`;
  const run = async (command: string): Promise<string> =>
    (await inWeb<{ stdout: string }>("POST", `${inBox}/exec`, { command })).stdout;
  const start = async (command: string, more: object = {}): Promise<string> =>
    (await inWeb<{ id: string }>("POST", `${inBox}/processes`, { command, ...more })).id;
  const file = async (): Promise<string> => {
    const path = `/workspace/${unique()}`;
    await inWeb("POST", `${inBox}/files`, { path, content: "marker" });
    return path;
  };
  const contentOf = (path: string) => run(`cat ${path} 2>/dev/null || echo none`);
  const hits = () => run("cat /workspace/hits 2>/dev/null | wc -l");

  // An app that notes each request, and answers all of them alike.
  const answer = "HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\nX-App: marker\\r\\nConnection: close\\r\\n\\r\\nmarker";
  const app = `#!/bin/sh\nread method rest\necho $method >>/workspace/hits\nprintf '${answer}'\n`;
  await inWeb("POST", `${inBox}/files`, { path: "/workspace/app.sh", content: app, mode: "0755" });
  await start("busybox nc -ll -p 8000 -e /workspace/app.sh");
  await inWeb("POST", `${inBox}/exec`, {
    command: "until grep -q ':1F40 ' /proc/net/tcp /proc/net/tcp6; do usleep 10000; done",
  });

  const seen = await file();
  const ended = await start("echo marker");
  await inWeb("GET", `${inBox}/processes/${ended}/wait?timeout=30s`);
  const running = await start("echo marker; exec sleep 100000");
  return { box, inBox, inWeb, newSandbox, run, start, file, contentOf, hits, seen, ended, running };
};

export type Box = Awaited<ReturnType<typeof makeBox>>;

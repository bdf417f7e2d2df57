/** What these tests ask of a server, as plain requests. A server that dies rejects them. */
export interface SandboxRow {
  readonly id: string;
  readonly state: string;
  readonly provider: string;
}

const json = (body: object): RequestInit => ({ method: "POST", body: JSON.stringify(body) });

export const sandboxesOf = (url: string) => {
  const at = `${url}/api/v1/sandboxes`;
  const ok = async (path: string, init: RequestInit = {}): Promise<unknown> => {
    const answer = await fetch(`${at}${path}`, { signal: AbortSignal.timeout(30_000), ...init });
    const body = await answer.text();
    if (!answer.ok) throw new Error(`${answer.status} ${body}`);
    return JSON.parse(body);
  };
  return {
    spawn: async (provider: string, init: RequestInit = {}) =>
      (await ok("", { ...json({ provider }), ...init })) as SandboxRow,
    list: async () => (await ok("")) as readonly SandboxRow[],
    get: async (id: string) => (await ok(`/${id}`)) as SandboxRow,
    destroy: async (id: string) => void (await ok(`/${id}`, { method: "DELETE" })),
    /** Standard output of a shell command. */
    sh: async (id: string, command: string) =>
      ((await ok(`/${id}/exec`, json({ command }))) as { readonly stdout: string }).stdout,
  };
};

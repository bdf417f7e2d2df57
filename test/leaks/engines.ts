import http from "node:http";

/** Longest wait for one answer of an engine, milliseconds. */
const answerTimeoutMs = 10_000;

const get = (socketPath: string, path: string): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const request = http.get({ socketPath, path, timeout: answerTimeoutMs, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.once("end", () => {
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`the engine at ${socketPath} answered ${path} with ${response.statusCode}`));
      });
    });
    request.once("timeout", () => request.destroy(new Error(`the engine at ${socketPath} does not answer`)));
    request.once("error", reject);
  });

interface Labelled {
  readonly Id?: string;
  readonly Name?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

/** What an engine keeps under a label with our server's id: containers in any state, volumes, networks. */
export const engineObjects = async (socketPath: string, serverId: string): Promise<readonly string[]> => {
  if (serverId === "") return [];
  const { Volumes: volumes } = (await get(socketPath, "/volumes")) as { readonly Volumes: readonly Labelled[] | null };
  const lists = {
    container: (await get(socketPath, "/containers/json?all=1")) as readonly Labelled[],
    volume: volumes ?? [],
    network: (await get(socketPath, "/networks")) as readonly Labelled[],
  };
  return Object.entries(lists).flatMap(([kind, all]) =>
    all
      .filter(({ Labels: labels }) => Object.values(labels ?? {}).includes(serverId))
      .map(({ Id, Name }) => `${kind} ${Id ?? Name} at ${socketPath}`),
  );
};

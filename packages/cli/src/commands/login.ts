import { type Caller, Client, type SessionState } from "stacyvm";
import { UsageFailure } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import { openBrowser } from "../login/browser.ts";
import { type IssuerTokens, loginWithIssuer, type ProgramLogin } from "../login/issuer.ts";
import { readKey } from "../login/key-input.ts";
import { dropProfile, keepProfile, type Profile, profileOf, serverName } from "../login/profiles.ts";
import type { Output } from "../output.ts";
import type { ServerAddress } from "../server-socket.ts";

export interface LoginFlags {
  readonly key?: true;
  /** False by --no-browser. */
  readonly browser: boolean;
}

/** How long a key is kept that doesn't end before, milliseconds. */
const keptKeyMs = 7 * 86_400_000;

/** The server, and which of somebody's tenants and projects there. */
export type LoginPlace = Pick<ServerAddress, "url" | "tenant" | "project">;

const clientOf = (
  { url: baseUrl, tenant, project }: LoginPlace,
  credential: { apiKey?: string; token?: string } = {},
) => new Client({ baseUrl, tenant, project, ...credential });

const isLoopback = (name: string): boolean =>
  /^(127\.|localhost$|\[::1\]$|.+\.localhost$)/.test(new URL(name).hostname);

const refusal = async (client: Client, what: string): Promise<UsageFailure> => {
  // The open route tells strangers nothing; this one says what is wrong with a credential.
  await client.list({ limit: 1 });
  return new UsageFailure(`the server takes ${what}, and it has no role there`);
};

const callerOf = async (client: Client): Promise<Caller | undefined> => {
  const { caller } = await client.session();
  return caller === undefined || caller.role === "anonymous" ? undefined : caller;
};

/** Keeps what the server says yes to, and says as whom. */
const keep = async (
  url: string,
  output: Output,
  caller: Caller,
  profile: Omit<Profile, "expiresAt">,
): Promise<void> => {
  const mostMs = profile.kind === "key" ? Date.now() + keptKeyMs : Number.POSITIVE_INFINITY;
  const endMs = Math.min(
    mostMs,
    caller.expires_at === undefined ? Date.now() + keptKeyMs : Date.parse(caller.expires_at),
  );
  const expiresAt = new Date(endMs).toISOString();
  await keepProfile(url, { ...profile, expiresAt });
  const { role, owner_id, tenant_id } = caller;
  const of = tenant_id === undefined ? "" : ` of ${tenant_id}`;
  const who = owner_id === undefined ? role : `${owner_id} (${role})`;
  const until = expiresAt.slice(0, 16).replace("T", " ");
  const told = { server: serverName(url), role, owner_id, tenant_id, expires_at: expiresAt };
  output.result(told, `Logged in at ${serverName(url)} as ${who}${of} until ${until} UTC`);
};

const withKey = async (place: LoginPlace, output: Output): Promise<void> => {
  const credential = await readKey(output);
  const client = clientOf(place, { apiKey: credential });
  const caller = await callerOf(client);
  if (caller === undefined) throw await refusal(client, "this key");
  await keep(place.url, output, caller, { kind: "key", credential, issuer: "" });
};

/** A login is asked of the issuer that the server names: a server that names another one all at once is looked at twice. */
const requireSameIssuer = (url: string, { issuer }: ProgramLogin): void => {
  const known = profileOf(url)?.issuer ?? "";
  if (known === "" || known === issuer) return;
  throw new UsageFailure(
    `${serverName(url)} names the issuer ${issuer}, and it was ${known} at the last login. Where that is right: stacyvm logout, then log in again`,
  );
};

/** The access token where the server takes it, else the ID token, as issuers without audiences for APIs have it. */
const taken = async (place: LoginPlace, { accessToken, idToken }: IssuerTokens) => {
  for (const credential of [accessToken, idToken]) {
    if (credential === undefined) continue;
    const caller = await callerOf(clientOf(place, { token: credential }));
    if (caller !== undefined) return { caller, credential };
  }
  throw await refusal(clientOf(place, { token: accessToken }), "the issuer's token");
};

const withIssuer = async (place: LoginPlace, output: Output, login: ProgramLogin, opens: boolean): Promise<void> => {
  const { url } = place;
  requireSameIssuer(url, login);
  const show = (address: string): void => {
    output.errorLine(
      `${serverName(url)} asks for a login with ${login.issuer}. Open this address in a browser of this machine:`,
    );
    output.errorLine(address);
    if (opens) openBrowser(address);
  };
  const tokens = await interruptible((signal) => loginWithIssuer(login, show, signal));
  const { caller, credential } = await taken(place, tokens);
  await keep(url, output, caller, { kind: "token", credential, issuer: login.issuer });
};

/** Logs in at the server by the issuer that it names, or by a key. */
export async function loginCommand(place: LoginPlace, output: Output, { key, browser }: LoginFlags): Promise<void> {
  const name = serverName(place.url);
  if (new URL(name).protocol === "http:" && !isLoopback(name)) {
    throw new UsageFailure(
      `${name} is not https: whoever is on the way would read the credential. Use the server's https address`,
    );
  }
  const state: SessionState = await clientOf({ url: place.url }).session();
  if (!state.credential_needed)
    throw new UsageFailure(`${name} asks nobody for a credential: there is nothing to log in to`);
  if (key) return await withKey(place, output);
  if (state.program_login === undefined) {
    throw new UsageFailure(`${name} has no login in the browser. With a key: stacyvm login --key`);
  }
  await withIssuer(place, output, state.program_login, browser);
}

/** Forgets the server's credential on this machine. */
export async function logoutCommand(url: string, output: Output): Promise<void> {
  const name = serverName(url);
  const dropped = await dropProfile(url);
  output.result({ server: name, logged_out: dropped }, dropped ? `Logged out of ${name}` : `Not logged in at ${name}`);
}

import { ApiKeyManager } from "./api-keys.ts";
import { ConfigManager } from "./config.ts";
import { type StacyVMClientOptions, transportOf } from "./options.ts";
import { OwnTenantManager } from "./own-tenant.ts";
import { QuotaManager } from "./quotas.ts";
import { Sandbox } from "./sandbox.ts";
import { SecretManager } from "./secrets.ts";
import { fullView, once, type SpawnCallOptions, sandboxSpec } from "./spawning.ts";
import { sseData } from "./sse.ts";
import { TemplateManager } from "./templates.ts";
import { TenantManager } from "./tenants.ts";
import { type CallOptions, segment, type Transport } from "./transport.ts";
import type {
  HealthInfo,
  ProviderInfo,
  QuotaSummary,
  SandboxInfo,
  SessionState,
  SpawnAdmissionDecision,
  SpawnOptions,
  StacyVMEvent,
  VMPoolStatus,
} from "./wire.ts";

/** Which sandboxes a list holds. */
export interface SandboxFilter {
  state?: string | undefined;
  provider?: string | undefined;
  owner?: string | undefined;
  name?: string | undefined;
  /** All of them hold; `true` for any value. */
  labels?: Record<string, string | true> | undefined;
  /** The moment itself is left out. A text is RFC 3339, a number milliseconds since 1970. */
  createdBefore?: Date | string | number | undefined;
  createdAfter?: Date | string | number | undefined;
}

/** What a list is sorted by; with `-` before it descending. */
export type SandboxSort = "created_at" | "-created_at" | "expires_at" | "-expires_at" | "name" | "-name";

export interface ListOptions extends SandboxFilter, CallOptions {
  /** Sandboxes per page, up to 1000; without it all come at once. */
  limit?: number | undefined;
  /** `nextCursor` of the page before. */
  cursor?: string | undefined;
  /** Default `-created_at`. */
  sort?: SandboxSort | undefined;
}

/** A list, and where it goes on. */
export type SandboxPage = SandboxInfo[] & { readonly nextCursor?: string };

/** Sandboxes per request of `listAll`. */
const pageSize = 200;

/** A StacyVM server. */
export class Client {
  readonly templates: TemplateManager;
  readonly quotas: QuotaManager;
  readonly apiKeys: ApiKeyManager;
  readonly config: ConfigManager;
  readonly ownTenant: OwnTenantManager;
  readonly secrets: SecretManager;
  readonly tenants: TenantManager;
  readonly #transport: Transport;

  constructor(options?: StacyVMClientOptions) {
    this.#transport = transportOf(options);
    this.templates = new TemplateManager(this.#transport);
    this.quotas = new QuotaManager(this.#transport);
    this.apiKeys = new ApiKeyManager(this.#transport, "/admin/api-keys");
    this.config = new ConfigManager(this.#transport);
    this.ownTenant = new OwnTenantManager(this.#transport);
    this.secrets = new SecretManager(this.#transport);
    this.tenants = new TenantManager(this.#transport);
  }

  /**
   * Makes a sandbox, or gets the one that has its name; resolves when commands can run in it.
   * @throws {StacyVMError} code `CONFLICT` where the name is taken, with `sandbox_id` in `details`; code `RESOURCE_LIMIT` with the limit, its
   * value and its use in `details`
   */
  async spawn(spec: SpawnOptions = {}, options?: SpawnCallOptions): Promise<Sandbox> {
    const call = { method: "POST", path: "/sandboxes", query: fullView, json: spawnBody(spec), options } as const;
    const info = await this.#transport.json<SandboxInfo>({ ...call, ...once(options) });
    return new Sandbox(this.#transport, info);
  }

  /** Whether such a spawn would be admitted now; nothing is made. */
  async admission(spec: SpawnOptions = {}, options?: CallOptions): Promise<SpawnAdmissionDecision> {
    const json = spawnBody(spec);
    return await this.#transport.json({ method: "POST", path: "/sandboxes/admission", json, options });
  }

  /** @throws {SandboxNotFoundError} */
  async get(id: string, options?: CallOptions): Promise<Sandbox> {
    const path = `/sandboxes/${segment(id)}`;
    const call = { method: "GET", path, query: fullView, options, sandboxId: id } as const;
    const info = await this.#transport.json<SandboxInfo>(call);
    return new Sandbox(this.#transport, info);
  }

  /** Sandboxes, newest first where not sorted: all of them, or one page when `limit` is given. */
  async list(options: ListOptions = {}): Promise<SandboxPage> {
    const { limit, cursor, state, provider, owner, name, labels = {}, sort } = options;
    const query = {
      limit,
      cursor,
      state,
      provider,
      owner,
      name,
      label: Object.entries(labels).map(([key, value]) => (value === true ? key : `${key}=${value}`)),
      created_before: instant(options.createdBefore),
      created_after: instant(options.createdAfter),
      sort,
      ...fullView,
    };
    const page = await this.#transport.page<SandboxInfo[]>({ method: "GET", path: "/sandboxes", query, options });
    const nextCursor = page.headers.get("x-next-cursor");
    return nextCursor ? Object.defineProperty(page.value, "nextCursor", { value: nextCursor }) : page.value;
  }

  /** All sandboxes, fetched page by page as the loop goes on. */
  async *listAll(options: ListOptions = {}): AsyncGenerator<SandboxInfo, void, undefined> {
    let cursor = options.cursor;
    do {
      const page: SandboxPage = await this.list({ ...options, limit: options.limit ?? pageSize, cursor });
      yield* page;
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }

  /** Destroys what has expired; how many. */
  async prune(options?: CallOptions): Promise<number> {
    const answer = await this.#transport.json<{ pruned?: number }>({ method: "DELETE", path: "/sandboxes", options });
    return answer.pruned ?? 0;
  }

  async health(options?: CallOptions): Promise<HealthInfo> {
    return await this.#transport.json({ method: "GET", path: "/health", options });
  }

  /** Who this client is to the server, and how one logs in there. */
  async session(options?: CallOptions): Promise<SessionState> {
    return await this.#transport.json({ method: "GET", path: "/session", options });
  }

  async providers(options?: CallOptions): Promise<ProviderInfo[]> {
    return await this.#transport.json({ method: "GET", path: "/providers", options });
  }

  async poolStatus(options?: CallOptions): Promise<VMPoolStatus> {
    return await this.#transport.json({ method: "GET", path: "/pool/status", options });
  }

  async quotaSummary(options?: CallOptions): Promise<QuotaSummary> {
    return await this.quotas.summary(options);
  }

  /** What happens on the server from now on. The loop ends when it is left, or by the signal. */
  async *events(options?: CallOptions): AsyncGenerator<StacyVMEvent, void, undefined> {
    const headers = { Accept: "text/event-stream" };
    const stream = await this.#transport.stream({ method: "GET", path: "/events", headers, options });
    for await (const data of sseData(stream)) yield JSON.parse(data) as StacyVMEvent;
  }

  /** Spawns, calls back, destroys, whatever the outcome. */
  async withSandbox<T>(spec: SpawnOptions, use: (sandbox: Sandbox) => Promise<T> | T): Promise<T> {
    const sandbox = await this.spawn(spec);
    try {
      return await use(sandbox);
    } finally {
      // It expires anyway, and the callback's outcome matters more.
      await sandbox.destroy().catch(() => {});
    }
  }
}

const instant = (time: Date | string | number | undefined) => (time instanceof Date ? time.getTime() : time);

const spawnBody = (spec: SpawnOptions): SpawnOptions => ({
  image: spec.image ?? "alpine:latest",
  provider: spec.provider,
  memory_mb: spec.memory_mb,
  vcpus: spec.vcpus,
  ttl: spec.ttl,
  owner_id: spec.owner_id,
  template: spec.template,
  ...sandboxSpec(spec),
});

/** What a program is let ask beside the rest of the world. */
export interface Confinement {
  /** Hosts with ports that the operator named, for example registry.lan:443: they may be anywhere. */
  readonly known: readonly string[];
  /** The operator's own proxies, as HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */
  readonly proxies: Readonly<Record<string, string>>;
}

/**
 * The one way on which this server itself asks others. Each address is decided on as it is dialled, by the table that holds
 * for sandboxes; what the operator named or opened is excepted.
 */
export interface Outbound extends AsyncDisposable {
  /** As `fetch`. What is refused rejects as what can't be reached does. */
  readonly fetch: typeof fetch;
  /** A program of the host's that reaches nothing by any other way: what to run, and its variables. */
  confine(
    argv: readonly [string, ...string[]],
    confinement: Confinement,
  ): { readonly argv: readonly [string, ...string[]]; readonly env: Readonly<Record<string, string>> };
  /** Whether a host, with its port, has nothing but internal addresses; false where that can't be found out. Rejects where the proxy can't be asked. */
  isInternal(authority: string, signal: AbortSignal): Promise<boolean>;
}

/** What one client has under another name, or alone; `member` is `Class.name` as the client itself spells it. */
export interface MemberDifference {
  readonly typescript?: string;
  readonly python?: string;
  readonly why: string;
}

/** What a member takes under another name, or alone, beyond camelCase and snake_case. */
export interface ParameterDifference {
  /** As TypeScript spells it. */
  readonly member: string;
  readonly typescript: readonly string[];
  readonly python: readonly string[];
  readonly why: string;
}

export const memberDifferences: readonly MemberDifference[] = [
  { typescript: "Client.withSandbox", why: "Python's `with client.spawn() as sandbox`" },
  { python: "Client.spawn_template", why: "of version 0.1; `templates.spawn` is the same with overrides" },
  { python: "Client.close", why: "closes kept connections; `fetch` keeps them by itself. A `with` block does it too" },
  { typescript: "Sandbox.toString", why: "Python's `repr(sandbox)`" },
  { typescript: "Sandbox.toJSON", why: "Python's `sandbox.info`" },
];

/** Parameters that follow a rule of their own. */
export const parameterRules: readonly {
  readonly typescript: string;
  readonly python?: string;
  readonly why: string;
}[] = [
  { typescript: "timeoutMs", python: "request_timeout", why: "seconds, as everywhere in Python" },
  { typescript: "reconnectMs", python: "reconnect", why: "seconds, as everywhere in Python" },
  { typescript: "signal", why: "an asyncio task is cancelled; a blocking call is bound by its timeout" },
];

export const parameterDifferences: readonly ParameterDifference[] = [
  {
    member: "Client.constructor",
    typescript: ["host", "port", "fetch"],
    python: ["transport"],
    why: "Python has `base_url` alone, as in version 0.1, and what sends requests is an httpx transport",
  },
  { member: "Client.get", typescript: ["id"], python: ["sandbox_id"], why: "its name in version 0.1" },
  {
    member: "Sandbox.fetch",
    typescript: ["init"],
    python: ["method", "stream"],
    why: "each platform's own options; Python passes any others on to httpx",
  },
  {
    member: "SandboxFiles.download",
    typescript: ["from"],
    python: ["offset"],
    why: "`from` is a word of Python's grammar",
  },
  {
    member: "SandboxProcess.wait",
    typescript: ["timeoutMs"],
    python: ["timeout"],
    why: "it bounds the wait, which is many requests",
  },
  {
    member: "TemplateManager.spawn",
    typescript: [],
    python: ["sandbox_name"],
    why: "TypeScript has the sandbox's name among the overrides; in Python `name` is the template's",
  },
];

/** Exported by one client alone. */
export const classDifferences: ReadonlyMap<string, string> = new Map([
  ["ByteStream", "TypeScript has the platform's `ReadableStream`"],
  ["ExecStream", "TypeScript has an async generator with `done`; here it is `exit`"],
  ["FileDownload", "TypeScript has it as an interface"],
  ["ProcessStdin", "TypeScript has the platform's `WritableStream`"],
]);

/** What TypeScript declares as data and Python has otherwise. */
export const otherwise: ReadonlyMap<string, string> = new Map([
  ["ApiErrorBody", "the attributes of `StacyVMError`"],
  ["QuotaLimits", "arguments of `quotas.set`"],
  ["SandboxSpec", "arguments of `spawn`"],
  ["TemplateSpawnOverrides", "arguments of `templates.spawn`"],
]);

import type * as api from "../src/generated/api.ts";
import type * as wire from "../src/wire.ts";

/** Compiles only where the contract's shape can stand for the one that this package publishes. */
type Answers<Published, _Contract extends Published> = true;
/** Compiles only where the contract takes what this package lets callers say. */
type Takes<_Published extends { [K in keyof Contract]?: Contract[K] | undefined }, Contract> = true;

/** Held together by the compiler: a change of the contract that this package doesn't follow fails the type check. */
export type Checks = [
  Answers<wire.SandboxInfo, api.Sandbox>,
  Answers<wire.SpawnAdmissionDecision, api.AdmissionDecision>,
  Answers<wire.ExecResult, api.ExecResult>,
  Answers<wire.FileInfo, api.FileInfo>,
  Answers<wire.ProcessInfo, api.Process>,
  Answers<wire.SignalName, api.SignalProcessRequest["signal"]>,
  Answers<wire.SandboxStats, api.SandboxStats>,
  Answers<wire.Template, api.Template>,
  Answers<wire.ProviderInfo, api.ProviderReport>,
  Answers<wire.VMPoolStatus, api.PoolStatus>,
  Answers<wire.QuotaSummary, api.QuotaSummary>,
  Answers<wire.ApiKey, api.ApiKey>,
  Answers<wire.CreatedApiKey, api.CreatedApiKey>,
  Answers<wire.Tenant, api.Tenant>,
  Answers<wire.Project, api.Project>,
  Answers<wire.Member, api.Member>,
  Answers<wire.OwnTenant, api.OwnTenant>,
  Answers<wire.RegistryCredential, api.RegistryCredential>,
  Answers<wire.StoredSecret, api.StoredSecret>,
  // The generated type says of a value only that there is one.
  Answers<Omit<wire.LiveSettings, "settings">, Omit<api.LiveConfig, "settings">>,
  Answers<wire.SessionState, api.SessionState>,
  Answers<wire.OwnerQuota, api.OwnerQuota>,
  Answers<wire.QuotaUsage, api.QuotaUsage>,
  // Older clients read the version as always there; callers without a key are not told it.
  Answers<Omit<wire.HealthInfo, "version">, Omit<api.Health, "version">>,
  Answers<wire.StacyVMEvent, api.ServerEvent>,
  Answers<wire.ApiErrorBody, api.ErrorBody>,
  Answers<wire.NetworkInfo, api.Network>,
  Answers<wire.NetworkDecision, api.NetworkDecision>,
  Takes<wire.SpawnOptions, api.SpawnRequest>,
  Takes<wire.ApiKeyOptions & { name: string }, api.ApiKeyRequest>,
  Takes<wire.TenantOptions & { name: string }, api.TenantRequest>,
  Takes<wire.TenantChangeOptions, api.TenantChange>,
  Takes<wire.ProjectOptions & { name: string }, api.ProjectRequest>,
  Takes<wire.MemberOptions & { role: wire.MemberRole }, api.MemberRequest>,
  Takes<wire.SecretOptions & { value: string }, api.SecretRequest>,
  Takes<wire.QuotaLimits, api.QuotaRequest>,
  Takes<wire.TemplateConfig, api.TemplateRequest>,
  Takes<wire.TemplateSpawnOverrides, api.TemplateSpawnRequest>,
];

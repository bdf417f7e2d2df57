export { ApiKeyManager } from "./api-keys.ts";
export {
  Client,
  type ListOptions,
  type SandboxFilter,
  type SandboxPage,
  type SandboxSort,
} from "./client.ts";
export { ConfigManager } from "./config.ts";
export {
  ConnectionError,
  handleResponse,
  ProviderError,
  SandboxNotFoundError,
  StacyVMError,
  type StacyVMErrorOptions,
} from "./errors.ts";
export type { ExecBytes, ExecExit, ExecOptions, ExecStream } from "./exec.ts";
export type { FileDownload, FileDownloadOptions, FileVersion } from "./file-download.ts";
export type { FileUploadOptions, UploadContent } from "./file-upload.ts";
export {
  type ArchiveOptions,
  type FileContent,
  type FileLink,
  type FileListOptions,
  type FileMakeFolderOptions,
  type FileReadOptions,
  type FileRemoveOptions,
  type FileSignOptions,
  type FileWatchOptions,
  type FileWriteOptions,
  type FolderEvent,
  SandboxFiles,
  type UnpackedArchive,
} from "./files.ts";
export { MemberManager } from "./members.ts";
export { parseNDJSON } from "./ndjson.ts";
export { type NetworkLogOptions, SandboxNetwork } from "./network.ts";
export type { StacyVMClientConfig, StacyVMClientOptions } from "./options.ts";
export { OwnTenantManager } from "./own-tenant.ts";
export type { ProcessEvent } from "./process-output.ts";
export { type ProcessOptions, type ProcessOutputOptions, SandboxProcess, SandboxProcesses } from "./processes.ts";
export { ProjectManager } from "./projects.ts";
export { QuotaManager } from "./quotas.ts";
export { RegistryCredentialManager } from "./registry-credentials.ts";
export type { RetryOptions } from "./retry.ts";
export { Sandbox } from "./sandbox.ts";
export { SecretManager } from "./secrets.ts";
export type { SpawnCallOptions } from "./spawning.ts";
export { TemplateManager } from "./templates.ts";
export { type TenantDeleteOptions, TenantManager } from "./tenants.ts";
export type { CallOptions } from "./transport.ts";
export type {
  ApiErrorBody,
  ApiKey,
  ApiKeyOptions,
  ApiKeyRole,
  Caller,
  CreatedApiKey,
  ExecResult,
  FileInfo,
  HealthInfo,
  InjectRule,
  ListeningPort,
  LiveSettings,
  Member,
  MemberOptions,
  MemberRole,
  NetworkDecision,
  NetworkInfo,
  NetworkPolicy,
  OwnerQuota,
  OwnTenant,
  ProcessExit,
  ProcessInfo,
  Project,
  ProjectOptions,
  ProviderInfo,
  ProviderLimits,
  ProviderRemark,
  QuotaLimits,
  QuotaSummary,
  QuotaUsage,
  RegistryCredential,
  SandboxConfig,
  SandboxInfo,
  SandboxSpec,
  SandboxState,
  SandboxStats,
  SecretOptions,
  SecretRotation,
  SessionState,
  SignalName,
  SpawnAdmissionDecision,
  SpawnOptions,
  StacyVMEvent,
  StoredSecret,
  StreamChunk,
  Template,
  TemplateConfig,
  TemplateSpawnOverrides,
  Tenant,
  TenantChangeOptions,
  TenantOptions,
  VMPoolStatus,
} from "./wire.ts";

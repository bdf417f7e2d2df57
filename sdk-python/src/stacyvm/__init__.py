"""Python client for StacyVM, the self-hosted control plane for disposable sandboxes."""

from stacyvm._async.api_keys import AsyncApiKeyManager
from stacyvm._async.client import AsyncClient
from stacyvm._async.config import AsyncConfigManager
from stacyvm._async.files import AsyncFileDownload, AsyncSandboxFiles, FileContent
from stacyvm._async.members import AsyncMemberManager
from stacyvm._async.network import AsyncSandboxNetwork
from stacyvm._async.own_tenant import AsyncOwnTenantManager
from stacyvm._async.processes import AsyncProcessStdin, AsyncSandboxProcess, AsyncSandboxProcesses
from stacyvm._async.projects import AsyncProjectManager
from stacyvm._async.quotas import AsyncQuotaManager
from stacyvm._async.registry_credentials import AsyncRegistryCredentialManager
from stacyvm._async.sandbox import AsyncSandbox
from stacyvm._async.secrets import AsyncSecretManager
from stacyvm._async.streams import AsyncByteStream, AsyncExecStream
from stacyvm._async.templates import AsyncTemplateManager
from stacyvm._async.tenants import AsyncTenantManager
from stacyvm._async.upload import UploadContent
from stacyvm._retry import Retry
from stacyvm._spec import IfExists, LabelFilter, Moment, SandboxSort, SecurityProfile
from stacyvm._sync.api_keys import ApiKeyManager
from stacyvm._sync.client import Client
from stacyvm._sync.config import ConfigManager
from stacyvm._sync.files import FileDownload, SandboxFiles
from stacyvm._sync.members import MemberManager
from stacyvm._sync.network import SandboxNetwork
from stacyvm._sync.own_tenant import OwnTenantManager
from stacyvm._sync.processes import ProcessStdin, SandboxProcess, SandboxProcesses
from stacyvm._sync.projects import ProjectManager
from stacyvm._sync.quotas import QuotaManager
from stacyvm._sync.registry_credentials import RegistryCredentialManager
from stacyvm._sync.sandbox import Sandbox
from stacyvm._sync.secrets import SecretManager
from stacyvm._sync.streams import ByteStream, ExecStream
from stacyvm._sync.templates import TemplateManager
from stacyvm._sync.tenants import TenantManager
from stacyvm.exceptions import ConnectionError, ProviderError, SandboxNotFound, StacyVMError
from stacyvm.models import (
    ApiKey,
    ApiKeyRole,
    Caller,
    CreatedApiKey,
    ExecBytes,
    ExecExit,
    ExecResult,
    FileInfo,
    FileLink,
    FileVersion,
    FolderEvent,
    HealthInfo,
    InjectRule,
    ListeningPort,
    LiveSettings,
    Member,
    MemberRole,
    NetworkDecision,
    NetworkInfo,
    NetworkMode,
    NetworkPolicy,
    OwnerQuota,
    OwnTenant,
    ProcessChild,
    ProcessEvent,
    ProcessExit,
    ProcessExited,
    ProcessGap,
    ProcessInfo,
    ProcessLive,
    ProcessOutput,
    ProgramLogin,
    Project,
    ProviderInfo,
    ProviderLimits,
    ProviderRemark,
    PtySize,
    QuotaSummary,
    QuotaUsage,
    RegistryCredential,
    SandboxInfo,
    SandboxPage,
    SandboxStats,
    SecretRotation,
    SessionState,
    SignalName,
    SpawnAdmissionDecision,
    StacyVMEvent,
    StoredSecret,
    Template,
    Tenant,
    UnpackedArchive,
    VMPoolStatus,
)
from stacyvm.streaming import StreamChunk

__version__ = "0.2.0"
__all__ = [
    "ApiKey",
    "ApiKeyManager",
    "ApiKeyRole",
    "AsyncApiKeyManager",
    "AsyncByteStream",
    "AsyncClient",
    "AsyncConfigManager",
    "AsyncExecStream",
    "AsyncFileDownload",
    "AsyncMemberManager",
    "AsyncOwnTenantManager",
    "AsyncProcessStdin",
    "AsyncProjectManager",
    "AsyncQuotaManager",
    "AsyncRegistryCredentialManager",
    "AsyncSandbox",
    "AsyncSandboxFiles",
    "AsyncSandboxNetwork",
    "AsyncSandboxProcess",
    "AsyncSandboxProcesses",
    "AsyncSecretManager",
    "AsyncTemplateManager",
    "AsyncTenantManager",
    "ByteStream",
    "Caller",
    "Client",
    "ConfigManager",
    "ConnectionError",
    "CreatedApiKey",
    "ExecBytes",
    "ExecExit",
    "ExecResult",
    "ExecStream",
    "FileContent",
    "FileDownload",
    "FileInfo",
    "FileLink",
    "FileVersion",
    "FolderEvent",
    "HealthInfo",
    "IfExists",
    "InjectRule",
    "LabelFilter",
    "ListeningPort",
    "LiveSettings",
    "Member",
    "MemberManager",
    "MemberRole",
    "Moment",
    "NetworkDecision",
    "NetworkInfo",
    "NetworkMode",
    "NetworkPolicy",
    "OwnTenant",
    "OwnTenantManager",
    "OwnerQuota",
    "ProcessChild",
    "ProcessEvent",
    "ProcessExit",
    "ProcessExited",
    "ProcessGap",
    "ProcessInfo",
    "ProcessLive",
    "ProcessOutput",
    "ProcessStdin",
    "ProgramLogin",
    "Project",
    "ProjectManager",
    "ProviderError",
    "ProviderInfo",
    "ProviderLimits",
    "ProviderRemark",
    "PtySize",
    "QuotaManager",
    "QuotaSummary",
    "QuotaUsage",
    "RegistryCredential",
    "RegistryCredentialManager",
    "Retry",
    "Sandbox",
    "SandboxFiles",
    "SandboxInfo",
    "SandboxNetwork",
    "SandboxNotFound",
    "SandboxPage",
    "SandboxProcess",
    "SandboxProcesses",
    "SandboxSort",
    "SandboxStats",
    "SecretManager",
    "SecretRotation",
    "SecurityProfile",
    "SessionState",
    "SignalName",
    "SpawnAdmissionDecision",
    "StacyVMError",
    "StacyVMEvent",
    "StoredSecret",
    "StreamChunk",
    "Template",
    "TemplateManager",
    "Tenant",
    "TenantManager",
    "UnpackedArchive",
    "UploadContent",
    "VMPoolStatus",
]

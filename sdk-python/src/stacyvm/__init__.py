"""Python client for StacyVM, the self-hosted control plane for disposable sandboxes."""

from stacyvm._async.api_keys import AsyncApiKeyManager
from stacyvm._async.client import AsyncClient
from stacyvm._async.files import AsyncFileDownload, AsyncSandboxFiles, FileContent
from stacyvm._async.network import AsyncSandboxNetwork
from stacyvm._async.processes import AsyncProcessStdin, AsyncSandboxProcess, AsyncSandboxProcesses
from stacyvm._async.quotas import AsyncQuotaManager
from stacyvm._async.sandbox import AsyncSandbox
from stacyvm._async.streams import AsyncByteStream, AsyncExecStream
from stacyvm._async.templates import AsyncTemplateManager
from stacyvm._async.upload import UploadContent
from stacyvm._retry import Retry
from stacyvm._spec import IfExists, LabelFilter, Moment, SandboxSort, SecurityProfile
from stacyvm._sync.api_keys import ApiKeyManager
from stacyvm._sync.client import Client
from stacyvm._sync.files import FileDownload, SandboxFiles
from stacyvm._sync.network import SandboxNetwork
from stacyvm._sync.processes import ProcessStdin, SandboxProcess, SandboxProcesses
from stacyvm._sync.quotas import QuotaManager
from stacyvm._sync.sandbox import Sandbox
from stacyvm._sync.streams import ByteStream, ExecStream
from stacyvm._sync.templates import TemplateManager
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
    ListeningPort,
    NetworkDecision,
    NetworkInfo,
    NetworkMode,
    NetworkPolicy,
    OwnerQuota,
    ProcessChild,
    ProcessEvent,
    ProcessExit,
    ProcessExited,
    ProcessGap,
    ProcessInfo,
    ProcessLive,
    ProcessOutput,
    ProgramLogin,
    ProviderInfo,
    ProviderLimits,
    ProviderRemark,
    PtySize,
    QuotaSummary,
    QuotaUsage,
    SandboxInfo,
    SandboxPage,
    SandboxStats,
    SessionState,
    SignalName,
    SpawnAdmissionDecision,
    StacyVMEvent,
    Template,
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
    "AsyncExecStream",
    "AsyncFileDownload",
    "AsyncProcessStdin",
    "AsyncQuotaManager",
    "AsyncSandbox",
    "AsyncSandboxFiles",
    "AsyncSandboxNetwork",
    "AsyncSandboxProcess",
    "AsyncSandboxProcesses",
    "AsyncTemplateManager",
    "ByteStream",
    "Caller",
    "Client",
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
    "LabelFilter",
    "ListeningPort",
    "Moment",
    "NetworkDecision",
    "NetworkInfo",
    "NetworkMode",
    "NetworkPolicy",
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
    "ProviderError",
    "ProviderInfo",
    "ProviderLimits",
    "ProviderRemark",
    "PtySize",
    "QuotaManager",
    "QuotaSummary",
    "QuotaUsage",
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
    "SecurityProfile",
    "SessionState",
    "SignalName",
    "SpawnAdmissionDecision",
    "StacyVMError",
    "StacyVMEvent",
    "StreamChunk",
    "Template",
    "TemplateManager",
    "UnpackedArchive",
    "UploadContent",
    "VMPoolStatus",
]

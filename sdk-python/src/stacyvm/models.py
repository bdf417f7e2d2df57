"""Shapes of the HTTP API, named as on the wire. What a newer server says beyond them is left out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, List, Literal, Mapping, NamedTuple, Optional, Sequence, Type, TypedDict, TypeVar, Union

M = TypeVar("M")


def of_wire(kind: Type[M], data: Mapping[str, Any]) -> M:
    """A dataclass from an answer: keys that it doesn't know are dropped, and null counts as absent."""
    known = {one.name for one in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: value for key, value in data.items() if key in known and value is not None})


@dataclass
class ExecResult:
    """How a command ended, and what it said."""

    #: 128 + n after death by signal n.
    exit_code: int
    #: Bytes that are no UTF-8 stand as U+FFFD.
    stdout: str
    stderr: str
    #: Go duration.
    duration: str = ""
    timed_out: bool = False
    #: Output beyond the bound was dropped; the head is here.
    truncated: bool = False


@dataclass(frozen=True)
class ExecBytes:
    """
    What a raw exec gives back. Its exit status travels in a trailer, which httpx doesn't show: ask for text to have it.
    """

    stdout: bytes


@dataclass(frozen=True)
class ExecExit:
    """How a streamed command ended."""

    #: None: the server ended the stream without saying.
    exit_code: Optional[int] = None
    timed_out: bool = False
    truncated: bool = False


@dataclass
class SandboxInfo:
    """A sandbox as the server described it."""

    id: str
    state: str
    provider: str
    image: str
    #: Mebibytes.
    memory_mb: int = 512
    vcpus: int = 1
    #: RFC 3339.
    created_at: str = ""
    #: RFC 3339.
    expires_at: str = ""
    metadata: Dict[str, str] = field(default_factory=dict)
    #: Host name, with a port where it isn't 80, under which previews are served.
    preview_domain: str = "localhost"
    owner_id: str = ""
    tenant_id: str = ""
    vm_id: str = ""
    worker_id: str = ""
    name: str = ""
    labels: Dict[str, str] = field(default_factory=dict)
    #: What its environment names, sorted; the values are never told.
    env_names: List[str] = field(default_factory=list)
    #: Where commands start.
    workdir: str = ""
    #: Whom commands run as, where that was asked for.
    user: str = ""
    #: Mebibytes; 0 where the server doesn't tell.
    disk_mb: int = 0
    #: The profile that was used; empty where the server doesn't tell.
    security: str = ""
    network_mode: str = ""
    #: Mode, allow, deny and inject of what it may reach; None where no gateway decides.
    network: Optional[Dict[str, Any]] = None
    #: Whose placeholders its environment has: ``NAME@host:port``.
    secrets: List[str] = field(default_factory=list)


#: What may be reached where no rule says otherwise.
NetworkMode = Literal["none", "public", "allowlist"]


class InjectRule(TypedDict, total=False):
    """A header that HTTPS requests to one host get on their way out; the sandbox sees neither it nor the secret."""

    #: A name with an optional port, 443 where there is none.
    host: str
    header: str
    #: Name of a secret that may be sent to this host.
    secret: str
    #: What the header says, ``{secret}`` standing for the secret; that alone where absent.
    value: str


@dataclass
class NetworkPolicy:
    """What a sandbox may reach. ``deny`` counts before ``allow``, ``allow`` before the mode."""

    #: ``public``: the Internet over TCP. ``allowlist``: what a rule allows.
    mode: NetworkMode
    #: ``api.example.com:443``, ``*.example.com``, ``203.0.113.0/24:80,8000-8100``, ``[2001:db8::/32]:443``; of hosts
    #: whose HTTP requests are looked into also ``inspect api.example.com``, ``GET,HEAD api.example.com:443``,
    #: ``POST api.example.com/v1/*``.
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    inject: Sequence[InjectRule] = ()


@dataclass
class NetworkInfo:
    """What a sandbox may reach, and what came of it."""

    mode: str
    allow: List[str] = field(default_factory=list)
    deny: List[str] = field(default_factory=list)
    inject: List[InjectRule] = field(default_factory=list)
    #: ``transparent``: every TCP connection and every name goes through the gateway. ``proxy``: what programs ask of
    #: the HTTP proxy inside does; programs that don't read its variables (``HTTPS_PROXY`` and so on) reach nothing.
    level: str = "none"
    #: Mode, allow, deny and inject of the operator's policy: what it does not permit, no sandbox may reach.
    server: Dict[str, Any] = field(default_factory=dict)
    #: ``open``, ``allowed``, ``denied``, ``failed`` connections, ``sent`` and ``received`` bytes since the gateway
    #: started; empty where it has none of it.
    counts: Dict[str, int] = field(default_factory=dict)
    #: Connections that the change ended.
    cut: int = 0


@dataclass
class NetworkDecision:
    """What the gateway decided, or what came of it; its texts are the sandbox's own words."""

    #: RFC 3339.
    at: str
    #: ``decision``; ``closed``: how a connection ended; ``missed``: more than were told; ``live``: what follows is new.
    type: str
    #: Joins a connection's decision and its end.
    flow: Optional[int] = None
    #: ``connect``, ``resolve``, ``query``, ``request`` or ``response``.
    kind: str = ""
    host: str = ""
    #: What was dialled, or would have been.
    address: str = ""
    port: Optional[int] = None
    #: ``allowed``, ``denied``, ``failed``, or ``masked``: an answer held a secret, and stars came in its place.
    decision: str = ""
    reason: str = ""
    rule: str = ""
    #: Whose rule or mode it was: ``server`` or ``sandbox``.
    policy: str = ""
    #: Of a request; its path without the query.
    method: str = ""
    path: str = ""
    #: Names of secrets that were put in, or masked.
    secrets: List[str] = field(default_factory=list)
    #: Bytes out of the sandbox.
    sent: int = 0
    received: int = 0
    count: int = 0


class SandboxPage(List[SandboxInfo]):
    """A list, and where it goes on."""

    #: For the ``cursor`` of the next list; None on the last page.
    next_cursor: Optional[str] = None


@dataclass
class SpawnAdmissionDecision:
    """Whether a spawn would be admitted."""

    allowed: bool
    queueable: bool
    reason: str = ""
    active_sandboxes: int = 0
    #: 0: no limit.
    max_sandboxes: int = 0
    active_owner_sandboxes: int = 0
    max_owner_sandboxes: int = 0
    #: Go duration.
    max_ttl: str = ""


@dataclass
class QuotaSummary:
    """How many owners have limits of their own."""

    total: int = 0
    with_max_sandboxes: int = 0
    with_max_ttl: int = 0
    with_max_exec_timeout: int = 0


@dataclass(frozen=True)
class OwnerQuota:
    """An owner's limits; ``0`` and ``0s`` inherit the server's."""

    owner_id: str
    max_sandboxes: int = 0
    #: Go duration.
    max_ttl: str = "0s"
    #: Go duration.
    max_exec_timeout: str = "0s"
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True)
class QuotaUsage:
    """What an owner uses, and the limits that hold."""

    owner_id: str
    active_sandboxes: int = 0
    max_sandboxes: int = 0
    max_ttl: str = ""
    max_exec_timeout: str = ""
    quota_configured: bool = False


#: What a named key may be.
ApiKeyRole = Literal["viewer", "api", "operator", "tenant_admin", "admin"]


@dataclass(frozen=True)
class ApiKey:
    """A named key without the key itself. Times are RFC 3339; empty where there is none."""

    id: str
    name: str
    #: The key's first characters.
    prefix: str
    role: ApiKeyRole
    created_by: str = ""
    created_at: str = ""
    tenant_id: str = ""
    #: Empty: it counts until it is revoked.
    expires_at: str = ""
    last_used_at: str = ""
    revoked_at: str = ""
    #: Its holder sees this project of the tenant alone; empty: all of it.
    project_id: str = ""


@dataclass(frozen=True)
class CreatedApiKey:
    """A named key, and the key itself, which is told this once."""

    api_key: ApiKey
    key: str = field(repr=False)


@dataclass(frozen=True)
class Tenant:
    """A company, team or customer: everything in it is its own. Times are RFC 3339."""

    id: str
    name: str
    owner_id: str = ""
    #: The JSON that was given, as text.
    settings: str = "{}"
    created_at: str = ""
    updated_at: str = ""
    #: Since then it is being deleted: nothing new is made in it; empty: it isn't.
    deleting_at: str = ""


@dataclass(frozen=True)
class Project:
    """A wall inside a tenant. Times are RFC 3339."""

    tenant_id: str
    id: str
    name: str
    created_at: str = ""
    updated_at: str = ""


#: What a member may be; an ``admin`` administers the tenant, or the project.
MemberRole = Literal["viewer", "operator", "admin"]


@dataclass(frozen=True)
class Member:
    """Somebody's role in a tenant or a project. Times are RFC 3339."""

    tenant_id: str
    #: The subject of the issuer's tokens.
    user_id: str
    role: str
    #: Empty: in the whole tenant.
    project_id: str = ""
    issuer: str = ""
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True)
class OwnTenant:
    """The caller's own place."""

    tenant: Tenant
    role: str
    #: Empty: in the whole tenant.
    project_id: str = ""


@dataclass(frozen=True)
class RegistryCredential:
    """That a tenant has a credential for a registry, and whose."""

    registry: str
    username: str
    created_by: str = ""
    #: RFC 3339.
    created_at: str = ""


@dataclass(frozen=True)
class LiveSettings:
    """The settings that may change while the server runs."""

    #: By their path, such as ``defaults.max_ttl``; durations are Go's, such as ``24h0m0s``.
    settings: Dict[str, Union[str, int, bool]]
    #: Paths of those that differ from what the server was started with.
    changed: List[str] = field(default_factory=list)
    #: Until when a change counts; empty where nothing was changed.
    message: str = ""


@dataclass(frozen=True)
class StoredSecret:
    """What a server tells of a secret: everything but its value. Times are RFC 3339."""

    name: str
    #: From 1; counts up each time that a value is set.
    version: int
    #: ``host:port``; it is sent to no other.
    hosts: List[str] = field(default_factory=list)
    #: Whose sandboxes may use it; empty: everybody's of its place.
    owners: List[str] = field(default_factory=list)
    created_by: str = ""
    created_at: str = ""
    #: When this version was set.
    updated_at: str = ""
    #: Empty before the first use.
    last_used_at: str = ""


@dataclass(frozen=True)
class SecretRotation:
    """What came of encrypting everything anew."""

    #: How many are under the server's current key now that were not.
    resealed: int
    #: How many none of the server's keys opens; they stay as they are.
    kept: int


@dataclass
class Template:
    """A named set of spawn values that the server keeps."""

    name: str
    image: str
    #: Mebibytes.
    memory_mb: int = 512
    vcpus: int = 1
    #: Go duration.
    ttl: str = "30m"
    provider: str = ""
    metadata: Dict[str, str] = field(default_factory=dict)
    description: str = ""
    version: int = 0
    cpu_cores: int = 0
    ttl_seconds: int = 0
    setup: List[str] = field(default_factory=list)
    allowed_hosts: List[str] = field(default_factory=list)
    env: Dict[str, str] = field(default_factory=dict)
    pool_size: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True)
class FileInfo:
    """One entry of a folder."""

    path: str
    #: Bytes.
    size: int
    is_dir: bool
    #: RFC 3339.
    mod_time: str
    #: Octal digits, for example ``0644``.
    mode: str


@dataclass(frozen=True)
class FileVersion:
    """Which content a file has."""

    #: Changes with the content; None for what the kernel makes up.
    etag: Optional[str]
    #: Of the whole file, bytes; None where nobody knows.
    size_bytes: Optional[int]


@dataclass(frozen=True)
class FileLink:
    """An address that needs no key."""

    url: str
    expires_at: datetime


@dataclass(frozen=True)
class UnpackedArchive:
    """What an archive became."""

    #: Files, directories and links.
    entries: int
    #: Content of the files.
    bytes: int


@dataclass(frozen=True)
class FolderEvent:
    """One change in a watched folder, or a word about the watch itself."""

    type: Literal["live", "created", "written", "removed", "renamed", "mode_changed", "overflow", "gone"]
    #: Absolute; of a rename the old name, and the new one is ``created``. None where it is about the watch.
    path: Optional[str] = None


@dataclass(frozen=True)
class ListeningPort:
    """A port on which a program in the sandbox listens."""

    port: int
    #: Inside the sandbox.
    address: str
    pid: Optional[int] = None
    command: Optional[str] = None


@dataclass(frozen=True)
class SandboxStats:
    """Processor and memory use."""

    supported: bool
    cpu_pct: Optional[float] = None
    mem_bytes: Optional[int] = None
    mem_limit_bytes: Optional[int] = None


class PtySize(NamedTuple):
    """A terminal's size in characters."""

    cols: int
    rows: int


@dataclass(frozen=True)
class ProcessExit:
    """How a process ended."""

    #: 128 + n after death by signal n.
    exit_code: int
    #: The signal's number; None where none ended it.
    signal: Optional[int] = None
    timed_out: bool = False
    #: Processes that it started lived on.
    background: bool = False
    #: Go duration.
    duration: str = ""


@dataclass(frozen=True)
class ProcessChild:
    """A living member of a process's tree."""

    pid: int
    parent_pid: int
    name: str
    cpu_ms: int
    memory_bytes: int


@dataclass(frozen=True)
class ProcessInfo:
    """A process as the server described it."""

    id: str
    #: Inside the sandbox; given again after the end. 0: it never started.
    pid: int
    argv: List[str]
    workdir: str
    user: str
    #: ``background``: the command has exited, what it started lives on.
    state: Literal["running", "background", "exited"]
    pty: bool
    stdin_open: bool
    #: RFC 3339.
    started_at: str
    #: Of the oldest byte of output that can be replayed, and of the next one to come.
    first_offset: int
    next_offset: int
    #: Living ones in its tree, itself included.
    processes: int
    cpu_ms: int
    memory_bytes: int
    tag: Optional[str] = None
    exit: Optional[ProcessExit] = None
    #: RFC 3339.
    ended_at: Optional[str] = None
    #: Living members of its tree, itself included; not told in a list.
    children: Optional[List[ProcessChild]] = None


def process_info_of(data: Mapping[str, Any]) -> ProcessInfo:
    exit, children = data.get("exit"), data.get("children")
    parsed = {
        **data,
        "exit": None if exit is None else of_wire(ProcessExit, exit),
        "children": None if children is None else [of_wire(ProcessChild, child) for child in children],
    }
    return of_wire(ProcessInfo, parsed)


@dataclass(frozen=True)
class ProcessOutput:
    """Bytes that a process wrote. An offset names a byte of everything that it wrote."""

    stream: Literal["stdout", "stderr", "pty"]
    offset: int
    data: bytes
    #: It was written before this iteration began. A terminal must not answer what it reads there.
    replayed: bool
    type: Literal["output"] = field(default="output", init=False)


@dataclass(frozen=True)
class ProcessGap:
    """Bytes that are lost: too old for the replay, or this reader was too slow."""

    offset: int
    until: int
    type: Literal["gap"] = field(default="gap", init=False)


@dataclass(frozen=True)
class ProcessLive:
    """The replay is over."""

    offset: int
    type: Literal["live"] = field(default="live", init=False)


@dataclass(frozen=True)
class ProcessExited:
    """The command has exited."""

    exit: ProcessExit
    type: Literal["exit"] = field(default="exit", init=False)


#: One step of a process's output, told apart by ``type``.
ProcessEvent = Union[ProcessOutput, ProcessGap, ProcessLive, ProcessExited]

SignalName = Literal[
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGABRT",
    "SIGKILL",
    "SIGUSR1",
    "SIGUSR2",
    "SIGALRM",
    "SIGTERM",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGWINCH",
]


@dataclass(frozen=True)
class StacyVMEvent:
    """Something that happened on the server, for example ``sandbox.created``."""

    id: str
    type: str
    #: RFC 3339.
    timestamp: str
    sandbox_id: Optional[str] = None
    data: Dict[str, Any] = field(default_factory=dict)


class _HealthBase(TypedDict):
    status: str
    #: Go duration.
    uptime: str


class HealthInfo(_HealthBase, total=False):
    """Keys of the health answer, a plain dict."""

    #: Absent for callers without a credential, where the server has any configured.
    version: str
    #: Present when the server answers anybody on a reachable address.
    insecure: bool
    #: Why new sandboxes are refused, where ``status`` is ``degraded``.
    degraded: List[str]


class ProviderLimits(TypedDict):
    """What is enforced on the server's host, not only asked for."""

    memory: bool
    cpu: bool
    pids: bool
    disk: bool
    tree_kill: Literal["cgroup", "pid-namespace", "best-effort"]


class _RemarkBase(TypedDict):
    what: str


class ProviderRemark(_RemarkBase, total=False):
    """What is missing or wrong, and what would help."""

    remedy: str


class _OfferBase(TypedDict):
    name: Literal["default", "restricted"]
    offered: bool


class SecurityProfileOffer(_OfferBase, total=False):
    """A profile, and what would have to change where it is not offered."""

    remedy: str


class _ProviderBase(TypedDict):
    name: str
    healthy: bool
    default: bool


class ProviderInfo(_ProviderBase, total=False):
    """Keys of a provider, a plain dict."""

    latency_ms: float
    last_checked: str
    error: str
    capabilities: List[str]
    runtime_count: int
    default_reason: str
    isolation: Literal["none", "userspace", "container", "kernel", "microvm"]
    versions: Dict[str, str]
    limits: ProviderLimits
    security_profiles: List[SecurityProfileOffer]
    networks: List[Literal["none", "egress", "bridge", "host"]]
    egress_level: Literal["transparent", "proxy"]
    missing: List[ProviderRemark]
    warnings: List[ProviderRemark]


class _PoolBase(TypedDict):
    enabled: bool


class VMPoolStatus(_PoolBase, total=False):
    """Keys of the pool's status, a plain dict."""

    vms: int
    max_vms: int
    total_users: int
    max_users_per_vm: int


class _CallerBase(TypedDict):
    role: str
    by: Literal["session", "key", "token"]


class Caller(_CallerBase, total=False):
    """Who asks, as the server sees it: keys of a plain dict."""

    owner_id: str
    tenant_id: str
    expires_at: str


class ProgramLogin(TypedDict):
    """How a program asks the issuer for a token: keys of a plain dict."""

    issuer: str
    client_id: str
    scopes: List[str]
    parameters: Dict[str, str]


class _SessionBase(TypedDict):
    credential_needed: bool
    key_login: bool


class SessionState(_SessionBase, total=False):
    """Who asks, and how one logs in: keys of a plain dict."""

    issuer_login_url: str
    program_login: ProgramLogin
    caller: Caller

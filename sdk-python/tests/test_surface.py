"""What the package promises without a server."""

from __future__ import annotations

import dataclasses
import inspect
from importlib import metadata
from typing import Any, Callable

import pytest
from twins import TWINS

import stacyvm
from stacyvm import exceptions, models
from stacyvm._lines import EventParser, LineSplitter
from stacyvm.providers import AsyncProviderManager, ProviderManager
from stacyvm.streaming import StreamChunk

#: The fields of version 0.1 with their defaults, in order.
PUBLISHED: dict[type, list[Any]] = {
    stacyvm.ExecResult: ["exit_code", "stdout", "stderr", ("duration", "")],
    stacyvm.SandboxInfo: [
        *("id", "state", "provider", "image"),
        *(("memory_mb", 512), ("vcpus", 1), ("created_at", ""), ("expires_at", ""), ("metadata", {})),
        ("preview_domain", "localhost"),
    ],
    stacyvm.SpawnAdmissionDecision: [
        *("allowed", "queueable", ("reason", ""), ("active_sandboxes", 0), ("max_sandboxes", 0)),
        *(("active_owner_sandboxes", 0), ("max_owner_sandboxes", 0), ("max_ttl", "")),
    ],
    stacyvm.QuotaSummary: [
        *(("total", 0), ("with_max_sandboxes", 0), ("with_max_ttl", 0), ("with_max_exec_timeout", 0))
    ],
    stacyvm.Template: [
        *("name", "image", ("memory_mb", 512), ("vcpus", 1), ("ttl", "30m"), ("provider", ""), ("metadata", {}))
    ],
    StreamChunk: ["stream", "data"],
}

#: The parameters of version 0.1 that could be given by place, with their defaults, in order.
SPAWN = "provider=None, memory_mb=None, vcpus=None, ttl=None, owner_id=None"
CALLS = {
    "Client.__init__": "base_url='http://localhost:7423', api_key=None, user_id=None, timeout=30.0",
    "Client.spawn": f"image='alpine:latest', {SPAWN}, template=None, metadata=None",
    "Client.admission": f"image=None, {SPAWN}, metadata=None",
    "Client.get": "sandbox_id",
    "Client.spawn_template": "template_name",
    "Sandbox.__init__": "http, sandbox_id, info=None",
    "Sandbox.exec": "command, args=None, mode=None, env=None, workdir=None, timeout=None",
    "Sandbox.exec_stream": "command, args=None, mode=None, env=None, workdir=None",
    "Sandbox.write_file": "path, content, mode=None",
    "Sandbox.read_file": "path",
    "Sandbox.list_files": "path='/'",
    "Sandbox.delete_file": "path, recursive=False",
    "Sandbox.move_file": "old_path, new_path",
    "Sandbox.chmod_file": "path, mode",
    "Sandbox.stat_file": "path",
    "Sandbox.glob_files": "pattern",
    "Sandbox.extend_ttl": "ttl='30m'",
    "Sandbox.get_preview_url": "port",
    "TemplateManager.save": "template",
    "StacyVMError.__init__": "message, code=None",
}


def fields_of(kind: Any) -> list[Any]:
    made: list[Any] = []
    for one in dataclasses.fields(kind):
        if one.default is not dataclasses.MISSING:
            made.append((one.name, one.default))
        elif one.default_factory is not dataclasses.MISSING:
            made.append((one.name, one.default_factory()))
        else:
            made.append(one.name)
    return made


@pytest.mark.parametrize("kind", PUBLISHED, ids=lambda kind: kind.__name__)
def test_published_fields_stand_first_as_they_were_and_later_ones_have_defaults(kind: Any) -> None:
    fields = fields_of(kind)
    published = PUBLISHED[kind]
    assert fields[: len(published)] == published
    assert all(isinstance(one, tuple) for one in fields[len(published) :])


@pytest.mark.parametrize("prefix", ["", "Async"])
@pytest.mark.parametrize("call", CALLS)
def test_published_parameters_stand_first_as_they_were_and_later_ones_are_named(prefix: str, call: str) -> None:
    owner, name = call.split(".")
    found = getattr(stacyvm, owner if owner == "StacyVMError" else prefix + owner)
    parameters = list(inspect.signature(getattr(found, name)).parameters.values())[1:]
    by_place = [one for one in parameters if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    told = [one.name if one.default is inspect.Parameter.empty else f"{one.name}={one.default!r}" for one in by_place]
    assert ", ".join(told) == CALLS[call]


def public(kind: type) -> dict[str, Any]:
    found = {name: member for name, member in vars(kind).items() if not name.startswith("_")}
    return {"close" if name == "aclose" else name: member for name, member in found.items()}


@pytest.mark.parametrize("blocking", [*TWINS, ProviderManager], ids=lambda kind: kind.__name__)
def test_both_clients_have_the_same_surface(blocking: type) -> None:
    waiting = AsyncProviderManager if blocking is ProviderManager else TWINS[blocking]
    assert list(public(blocking)) == list(public(waiting))
    for name, member in public(blocking).items():
        if inspect.isfunction(member):
            shapes = [
                [(one.name, one.kind, one.default) for one in inspect.signature(method).parameters.values()]
                for method in (member, public(waiting)[name])
            ]
            assert shapes[0] == shapes[1], name
            assert not inspect.iscoroutinefunction(member)


def test_every_public_name_says_what_it_is() -> None:
    for name in stacyvm.__all__:
        value = getattr(stacyvm, name)
        if isinstance(value, type):
            assert value.__doc__, name


def test_the_version_is_the_packages() -> None:
    assert stacyvm.__version__ == metadata.version("stacyvm")


def test_errors_can_be_made_by_hand_as_before() -> None:
    missing = stacyvm.SandboxNotFound("sb-1")
    assert (str(missing), missing.code, missing.sandbox_id) == ("Sandbox 'sb-1' not found", "NOT_FOUND", "sb-1")
    for kind in (stacyvm.ProviderError, stacyvm.ConnectionError):
        error = kind("m", code="C")
        assert (str(error), error.code, isinstance(error, stacyvm.StacyVMError)) == ("m", "C", True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), (" 12 ", 12.0), ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0), ("x", None), (None, None)],
)
def test_retry_after_is_seconds_or_a_date(value: Any, seconds: Any) -> None:
    assert exceptions.retry_after_seconds(value, now=10.0) == seconds


def every_cut(content: bytes, parse: Callable[[list[bytes]], list[Any]]) -> list[list[Any]]:
    return [parse([content[:at], content[at:]]) for at in range(len(content) + 1)]


def test_lines_survive_any_cut_inside_characters_too() -> None:
    def parse(parts: list[bytes]) -> list[str]:
        splitter = LineSplitter()
        lines = [line for part in parts for line in splitter.feed(part)]
        return lines + splitter.feed(b"", last=True)

    for lines in every_cut("grüße\r\n\n🚀\nrest".encode(), parse):
        assert lines == ["grüße", "", "🚀", "rest"]


def test_events_survive_any_cut_and_comments_are_passed_over() -> None:
    def parse(parts: list[bytes]) -> list[str]:
        splitter, parser = LineSplitter(), EventParser()
        found = [parser.feed(line) for part in parts for line in splitter.feed(part)]
        return [data for data in found if data is not None]

    for data in every_cut(b": beat\n\nid: 1\ndata: a\ndata:b\n\nevent: x\ndata: c\n\n", parse):
        assert data == ["a\nb", "c"]


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stacyvm._lines.MAX_LINE_LENGTH", 10)
    splitter = LineSplitter()
    splitter.feed(b"123456")
    with pytest.raises(ValueError, match="over 10 characters"):
        splitter.feed(b"7890a")


def test_a_process_is_read_from_the_wire() -> None:
    children = [{"pid": 1, "parent_pid": 0, "name": "sh", "cpu_ms": 0, "memory_bytes": 1, "new": True}]
    told = {**dict.fromkeys((one.name for one in dataclasses.fields(models.ProcessInfo)), ""), "children": children}
    info = models.process_info_of({**told, "exit": {"exit_code": 1, "new": 1}})
    assert info.children == [models.ProcessChild(1, 0, "sh", 0, 1)]
    assert info.exit == models.ProcessExit(1)

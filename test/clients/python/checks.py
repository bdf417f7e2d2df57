"""A list of named checks, run in order, each reported as one line of JSON."""

import asyncio
import inspect
import json
import traceback

_checks = []


def check(name):
    """Registers a function (or coroutine function) of one argument, the scene that all checks share."""

    def register(function):
        _checks.append((name, function))
        return function

    return register


def names():
    return [name for name, _ in _checks]


def run(scene):
    """Runs every check in one event loop; a check that raises has failed, and the next one runs all the same."""

    async def run_all():
        for name, function in _checks:
            try:
                result = function(scene)
                if inspect.isawaitable(result):
                    await result
                report = {"name": name, "ok": True}
            except Exception:
                report = {"name": name, "ok": False, "error": traceback.format_exc()}
            print(json.dumps(report), flush=True)

    asyncio.run(run_all())


def raises(kind, function, *arguments, **options):
    """The exception that the call raises, which must be of exactly this kind."""
    try:
        function(*arguments, **options)
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}: {error}"
        return error
    raise AssertionError(f"no {kind.__name__}")


async def raises_later(kind, awaitable):
    """As `raises`, of something to wait for."""
    try:
        await awaitable
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}: {error}"
        return error
    raise AssertionError(f"no {kind.__name__}")

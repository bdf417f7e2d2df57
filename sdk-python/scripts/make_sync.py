"""
Makes the blocking client out of the asynchronous one: writes each file of `_async` into `_sync` without its waiting.
"""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "stacyvm"

#: Names that don't follow the rule that `Async…` and `async_…` lose their first part.
NAMES = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "_async": "_sync",
}


def sync_name(name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    return re.sub(r"^(_?)(?:Async|async_)(?=\w)", r"\1", name)


def sync_source(source: str) -> str:
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    made = []
    done = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.NAME:
            continue
        start = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        if token.string in ("async", "await"):
            replacement = ""
            while source[end] == " ":
                end += 1
        else:
            replacement = sync_name(token.string)
        made += [source[done:start], replacement]
        done = end
    return "".join(made) + source[done:]


def main() -> None:
    target = PACKAGE / "_sync"
    target.mkdir(exist_ok=True)
    for file in sorted((PACKAGE / "_async").glob("*.py")):
        head = f"# Made from _async/{file.name} by scripts/make_sync.py.\n"
        (target / file.name).write_text(head + sync_source(file.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()

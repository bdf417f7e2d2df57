"""
Prints the public surface of the blocking client as JSON, read from its source: class to member to the names of its
parameters; null for what is no method.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple, Union

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "stacyvm"
Members = Dict[str, Optional[List[str]]]
Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def parameters(function: Function) -> List[str]:
    found = function.args
    return [one.arg for one in [*found.posonlyargs, *found.args, *found.kwonlyargs]][1:]


def attributes(function: Function) -> Iterator[str]:
    """What a constructor sets on the object."""
    for step in ast.walk(function):
        assigned = step.targets if isinstance(step, ast.Assign) else []
        for target in [step.target] if isinstance(step, ast.AnnAssign) else assigned:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                yield target.attr


def members(owner: ast.ClassDef) -> Iterator[Tuple[str, Optional[List[str]]]]:
    for member in owner.body:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            yield member.target.id, None
        if not isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if member.name == "__init__":
            yield "constructor", parameters(member)
            yield from ((name, None) for name in attributes(member))
        else:
            is_property = any(isinstance(one, ast.Name) and one.id == "property" for one in member.decorator_list)
            yield member.name, None if is_property else parameters(member)


def exported() -> List[str]:
    for step in ast.parse((PACKAGE / "__init__.py").read_text("utf-8")).body:
        if isinstance(step, ast.Assign) and isinstance(step.targets[0], ast.Name) and step.targets[0].id == "__all__":
            return [str(name) for name in ast.literal_eval(step.value)]
    raise SystemExit("__init__.py has no __all__")


def main() -> None:
    surface: Dict[str, Members] = {}
    names = exported()
    for file in sorted((PACKAGE / "_sync").glob("*.py")):
        for owner in ast.parse(file.read_text("utf-8")).body:
            if isinstance(owner, ast.ClassDef) and owner.name in names:
                surface[owner.name] = {name: said for name, said in members(owner) if not name.startswith("_")}
    print(json.dumps(surface))


if __name__ == "__main__":
    main()

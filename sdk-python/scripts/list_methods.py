"""
Prints the public surface of the blocking client as JSON, read from its source. `classes`: class to member to the names
of its parameters; null for what is no method. `shapes`: data class or typed dict to the names of its fields.
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


def fields(owner: ast.ClassDef, all_of: Dict[str, ast.ClassDef]) -> List[str]:
    inherited = [all_of[base.id] for base in owner.bases if isinstance(base, ast.Name) and base.id in all_of]
    own = [one.target.id for one in owner.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]
    return [name for base in inherited for name in fields(base, all_of)] + own


def shapes(names: List[str]) -> Dict[str, List[str]]:
    found: Dict[str, ast.ClassDef] = {}
    for file in ("models.py", "streaming.py", "_sync/files.py"):
        for owner in ast.parse((PACKAGE / file).read_text("utf-8")).body:
            if isinstance(owner, ast.ClassDef):
                found[owner.name] = owner
    return {name: fields(owner, found) for name, owner in found.items() if name in names}


def main() -> None:
    surface: Dict[str, Members] = {}
    names = exported()
    for file in sorted((PACKAGE / "_sync").glob("*.py")):
        for owner in ast.parse(file.read_text("utf-8")).body:
            if isinstance(owner, ast.ClassDef) and owner.name in names:
                surface[owner.name] = {name: said for name, said in members(owner) if not name.startswith("_")}
    print(json.dumps({"classes": surface, "shapes": shapes(names)}))


if __name__ == "__main__":
    main()

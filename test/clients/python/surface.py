"""Which public functions of the published client ran, seen by the interpreter: nothing of the client is replaced."""

import base64
import hashlib
import inspect
import sys
from importlib import metadata
from pathlib import Path


def public_functions(*classes):
    """Code object to "Class.method" for every public method of the classes, properties included."""
    functions = {}
    for owner in classes:
        for name, member in vars(owner).items():
            if name.startswith("_") and name not in ("__enter__", "__exit__", "__aenter__", "__aexit__", "__repr__"):
                continue
            function = member.fget if isinstance(member, property) else member
            if inspect.isfunction(function):
                functions[function.__code__] = f"{owner.__name__}.{name}"
    return functions


class Surface:
    """Notes each of the functions that is entered while it watches."""

    def __init__(self, *classes):
        self._functions = public_functions(*classes)
        self._entered = set()

    def watch(self):
        sys.setprofile(self._note)

    def _note(self, frame, event, _argument):
        if event == "call" and frame.f_code in self._functions:
            self._entered.add(frame.f_code)

    def never_called(self):
        return sorted(name for code, name in self._functions.items() if code not in self._entered)


def altered_files(package):
    """Files of an installed package that are not what its own record says."""
    altered = []
    for file in metadata.files(package) or []:
        if file.hash is None:
            continue
        digest = hashlib.new(file.hash.mode, Path(file.locate()).read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            altered.append(str(file))
    return altered

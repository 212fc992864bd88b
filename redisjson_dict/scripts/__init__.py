"""The Lua scripts: one file for each verb that must look before it writes.

A script starts with a shebang line, so that a server that must not run it (out of memory, a
replica) refuses it whole, before its first command. Reads are ``no-writes``; what can only shrink
a document is ``allow-oom``. In the place of a line ``-- needs: a, b`` come the shared parts, in
``_a.lua`` and ``_b.lua``. What is most often so is asked first, before the parts that are there for
the rest.

Protocol. ``KEYS[1]`` is the document, ``ARGV[1]`` the path that is known (or ``$``), ``ARGV[2]``
the number of further steps, then the steps, then what the verb needs. A reply that is a list
starting with ``?`` or ``!`` says why nothing was done; see ``_place.lua``.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files

__all__ = ["Script", "script"]


class Script:
    """A script as the server knows it.

    Attributes:
        name: the file's name without its ending.
        source: the whole text.
        sha: its SHA-1 digest in hex, the argument of EVALSHA.
        reads: whether it changes nothing.
        commands: all that a user must have the right to.
    """

    __slots__ = ("commands", "name", "reads", "sha", "source")

    def __init__(self, name: str) -> None:
        text = re.sub(r"-- needs: (.*)\n", _parts, _read(name))
        calls = re.findall(r"redis\.p?call\('([A-Z.]+)'", text)
        self.name = name
        self.source = text.encode()
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()
        self.reads = text.startswith("#!lua flags=no-writes")
        self.commands = tuple(sorted(set(calls) - _OPTIONAL))


_OPTIONAL = frozenset(("INFO",))  # asked where the user may, see ``_mortal.lua``


@cache
def script(name: str) -> Script:
    """Return a script by its name, read once."""
    return Script(name)


def _parts(needs: re.Match[str]) -> str:
    return "".join(_read(f"_{part}") for part in needs[1].split(", "))


def _read(name: str) -> str:
    return files(__name__).joinpath(f"{name}.lua").read_text(encoding="utf-8")

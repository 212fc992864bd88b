"""What goes to standard output and to standard error.

No name breaks a line or sends an escape code there; nothing is coloured, nothing is cut.
"""

from __future__ import annotations

import re
import sys
from enum import IntEnum
from typing import Any, TextIO

import orjson

__all__ = [
    "Code",
    "Problem",
    "agree",
    "counted",
    "escaped",
    "on_terminal",
    "print_json",
    "print_line",
    "print_rows",
    "quoted",
    "say",
    "size_of",
    "use_utf8",
]


class Code(IntEnum):
    """What the process exits with."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    PROBLEMS = 4
    NOT_CARRIED = 5
    INTERRUPTED = 130
    CLOSED = 141


class Problem(Exception):
    """What ends a command: one line for a person, and a code for a program."""

    def __init__(self, message: str, code: Code = Code.ERROR) -> None:
        super().__init__(message)
        self.code = code


# Besides control characters those that turn the direction of writing, or are not seen at all.
_INVISIBLE = (
    "\x7f-\x9f\u00ad\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f"
)
_UNSAFE = re.compile(f"[\x00-\x1f{_INVISIBLE}]")
_UNSAFE_IN_JSON = re.compile(f"[{_INVISIBLE}]")  # the others are escaped there, or break lines


def use_utf8() -> None:
    """Write UTF-8, whatever the locale says: JSON is nothing else."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")


def on_terminal(stream: TextIO) -> bool:
    """Return whether a person reads there, rather than a program."""
    return not stream.closed and stream.isatty()


def escaped(text: str) -> str:
    """Return a text on one line, with nothing in it that a terminal would obey."""
    return _UNSAFE.sub(_escape, text)


def quoted(name: str) -> str:
    """Return a name as it is, or in quotes as in JSON where it could be misread."""
    if name and name == name.strip() and name[0] != '"' and not _UNSAFE.search(name):
        return name
    return escaped(orjson.dumps(name).decode())


def print_line(text: str) -> None:
    """Write one line to standard output."""
    sys.stdout.write(escaped(text) + "\n")


def print_json(value: Any, *, indented: bool = False) -> None:
    """Write a value as JSON: on one line, or indented."""
    text = orjson.dumps(value, None, orjson.OPT_INDENT_2 if indented else None).decode()
    if on_terminal(sys.stdout):
        text = _UNSAFE_IN_JSON.sub(_escape, text)
    sys.stdout.write(text + "\n")


def print_rows(rows: list[tuple[str, ...]], widths: tuple[int, ...]) -> None:
    """Write rows in columns of fixed widths, negative ones to the right; the last is never cut."""
    for row in rows:
        cells = [
            text.ljust(width) if width > 0 else text.rjust(-width)
            for text, width in zip(row, widths, strict=False)
        ]
        print_line("  ".join([*cells, *row[len(widths) :]]))


def say(text: str) -> None:
    """Tell a person something, on standard error."""
    sys.stdout.flush()
    print(escaped(text), file=sys.stderr)


def agree(question: str, yes: bool) -> None:
    """Go on if the user agrees.

    Raises:
        Problem: refused, or nobody is there to be asked.
    """
    if yes:
        return
    if not (on_terminal(sys.stdin) and on_terminal(sys.stderr)):
        raise Problem(f"nobody can be asked here: pass --yes to say yes to: {question}", Code.USAGE)
    try:
        # typer.confirm would write a space to standard output, where the results go
        print(escaped(f"{question} [y/N]: "), end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise Problem("nothing was changed")


def counted(count: int) -> str:
    """Return a number of documents in words."""
    return f"{count:,} document{'' if count == 1 else 's'}"


def size_of(count: int | None) -> str:
    """Return a number of bytes for people."""
    if count is None:
        return "-"
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _escape(match: re.Match[str]) -> str:
    pair = match[0].encode("utf-16-be")
    return "".join(f"\\u{pair[i : i + 2].hex()}" for i in range(0, len(pair), 2))

"""Documents in a file: JSON Lines, with a first line that says what it is and a last that counts.

::

    {"format":"redisjson-dict","version":1,"prefix":"lab:"}
    {"key":"run","value":{"count":1}}
    {"key":"token","expire_at":1767225600000,"value":"x"}
    {"documents":2}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, NoReturn

import orjson

from redisjson_dict.cli.console import Problem

__all__ = ["Record", "header", "is_header", "line_of", "parse", "reason", "records", "trailer"]

FORMAT = "redisjson-dict"
VERSION = 1

_ANOTHER = (
    ". 'import' reads JSON Lines as 'export' writes them, one document on each line; one JSON "
    "object in a file is read by 'redisjson-dict migrate --from json'"
)
_LONG = re.compile(rb"[0-9]{19}")  # perhaps an integer that orjson would turn into a float


class Record(NamedTuple):
    """One document of a file.

    Attributes:
        line: its number, from 1.
        size: of the line, in bytes.
        key: without a prefix.
        expire_at: in milliseconds since the epoch; None: permanent.
        value: plain data.
    """

    line: int
    size: int
    key: str
    expire_at: int | None
    value: Any


def parse(text: bytes) -> Any:
    """Return the value of JSON text, strictly and exactly.

    Raises:
        ValueError: it is not JSON, or not UTF-8.
    """
    if _LONG.search(text) is None:
        return orjson.loads(text)
    return json.loads(text, parse_constant=_refuse)


def reason(error: Exception) -> str:
    """Return why a text is not JSON, on a line that has its number told already."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, at character {error.pos + 1}"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


def header(prefix: str) -> bytes:
    """Return the first line."""
    return orjson.dumps({"format": FORMAT, "version": VERSION, "prefix": prefix}) + b"\n"


def is_header(line: bytes) -> bool:
    """Return whether a line is a first one."""
    return line.startswith(b'{"format":"%s",' % FORMAT.encode())


def line_of(key: str, expire_at: int | None, text: bytes) -> bytes:
    """Return the line of a document, whose content is JSON text."""
    head = b'{"key":' + orjson.dumps(key)
    if expire_at is not None:
        head += b',"expire_at":%d' % expire_at
    return head + b',"value":' + text + b"}\n"


def trailer(count: int) -> bytes:
    """Return the last line."""
    return b'{"documents":%d}\n' % count


def records(file: BinaryIO, name: str) -> Iterator[Record]:
    """Read a file, line by line.

    Raises:
        Problem: names the file and the line; also where the end of an export is missing.
    """
    begun, read, number = False, False, 0
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            content = parse(line)
            if _is_frame(content):
                begun = "format" in content
            else:
                yield _record(number, len(line), content)
            read = True
        except (ValueError, RecursionError) as error:
            hint = "" if read or b'"key"' in line else _ANOTHER
            raise Problem(f"{name}, line {number}: {reason(error)}{hint}") from error
    if begun:
        raise Problem(
            f"{name}, line {number}: the export was cut here; all before is imported. "
            "'export --resume' goes on with the file"
        )


def _is_frame(content: Any) -> bool:
    """Return whether a line is a first or a last one.

    Raises:
        ValueError: a first one of something that is not known here.
    """
    if not isinstance(content, dict) or "key" in content:
        return False
    if content.get("format", FORMAT) != FORMAT or content.get("version", VERSION) != VERSION:
        raise ValueError(
            f"format {content.get('format')!r}, version {content.get('version')!r}; "
            f"this program reads {FORMAT!r}, version {VERSION}"
        )
    return "format" in content or content.keys() == {"documents"}


def _record(number: int, size: int, content: Any) -> Record:
    if not isinstance(content, dict) or not {"key", "value"} <= content.keys():
        raise ValueError('a line is {"key": ..., "value": ...}, perhaps with "expire_at"')
    unknown = content.keys() - {"key", "value", "expire_at"}
    if unknown:
        raise ValueError(
            f'unknown member {min(unknown)!r}: a line has "key", "value" and perhaps "expire_at"'
        )
    key, expire_at = content["key"], content.get("expire_at")
    if not isinstance(key, str):
        raise ValueError(f"the key is {key!r}, which is no text")
    if expire_at is not None and (type(expire_at) is not int or not 0 <= expire_at < 2**53):
        raise ValueError(f"expire_at is milliseconds since the epoch, not {expire_at!r}")
    return Record(number, size, key, expire_at, content["value"])


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")

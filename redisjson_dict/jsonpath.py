"""Which JSONPath expressions are safe to send. Knows nothing of Redis.

RedisJSON aborts as a whole on some expressions: where it echoes an error with a character whose
code point is a multiple of 256, or meets a number beyond i64. It stops answering, for everybody, on
expressions that visit the same places again and again: three ``..`` in a document of 120 levels
take 13 seconds. Both are refused here.
"""

from __future__ import annotations

import math
import re

from redisjson_dict.errors import UnsupportedValueError, ValueRangeError

__all__ = ["expression"]

_LENGTH = 65_536  # characters
_NESTING = 128
_DESCENTS = 2
_COMBINATIONS = 10_000
# Compiled at their first use: few programs query, all import this.
_BRACKETS = r"\[[^\[\]]*\]"
_STRINGS = r'(?s:"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')'
_NUMBER = r"0*([0-9]+)"
_I64 = str(2**63 - 1)


def expression(jsonpath: str, below_root: bool) -> bytes:
    """Return what follows the ``$`` of a JSONPath, checked.

    Args:
        jsonpath: the whole expression.
        below_root: whether its ``$`` is to be a place below the document's root.

    Raises:
        UnsupportedValueError: it is not text.
        ValueRangeError: no leading ``$``; a character whose code point is a multiple of 256; a
            number beyond i64; too long or too deeply nested; more than two ``..``, or lists of
            names and indices with more than 10,000 combinations; a second ``$`` below the root,
            where the server would take it for the document's.
    """
    if not isinstance(jsonpath, str):
        raise UnsupportedValueError(f"a JSONPath is str, not {type(jsonpath).__name__}")
    jsonpath = str.__str__(jsonpath)  # of a subclass the text that will be sent
    problem = _characters(jsonpath) or _structure(jsonpath, below_root)
    if problem:
        raise ValueRangeError(f"JSONPath {jsonpath[:200]!a} {problem}")
    return jsonpath.encode()[1:]


def _characters(jsonpath: str) -> str | None:
    if not jsonpath.startswith("$"):
        return "does not start with '$'"
    if jsonpath[1:2] not in ("", ".", "["):
        return "has neither '.' nor '[' after its '$'"
    if len(jsonpath) > _LENGTH:
        return f"has {len(jsonpath)} characters, more than {_LENGTH}"
    for character in jsonpath:
        if ord(character) % 256 == 0:
            return (
                f"holds {character!a}, a character that can abort the server: read the members "
                "by their keys instead"
            )
        if "\ud800" <= character <= "\udfff":
            return f"holds {character!a}, a lone surrogate"
    return None


def _structure(jsonpath: str, below_root: bool) -> str | None:
    bare = re.sub(_STRINGS, '""', jsonpath)
    numbers = re.findall(_NUMBER, bare)
    if any(len(number) > 19 or number.rjust(19, "0") > _I64 for number in numbers):
        return "holds a number of more than 64 bits"
    if bare.count("(") + bare.count("[") > _NESTING:
        return f"has more than {_NESTING} brackets"
    return _repetition(bare) or _second_root(bare, below_root)


def _repetition(bare: str) -> str | None:
    """Complain of what the server would visit again and again, not answering anybody else."""
    if bare.count("..") > _DESCENTS:
        return f"has more than {_DESCENTS} '..', which can keep the server busy for minutes"
    combinations = math.prod(part.count(",") + 1 for part in re.findall(_BRACKETS, bare))
    if combinations > _COMBINATIONS:
        return f"lists {combinations} combinations of names and indices, not {_COMBINATIONS}"
    return None


def _second_root(bare: str, below_root: bool) -> str | None:
    if below_root and "$" in bare[1:]:
        return (
            "has a second '$', which the server would take for the document: query the document "
            "itself, with the whole path"
        )
    return None

"""What is fuzzed. Each target is a function of bytes that raises when a promise is broken."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from fuzz.draw import Draw
from fuzz.world import ALL_VERBS, World, exact

from redisjson_dict.codec import Encoded, _Plain, decode, encode
from redisjson_dict.errors import RedisJSONDictError, UnsupportedValueError, ValueRangeError
from redisjson_dict.jsonpath import expression
from redisjson_dict.location import Location, Settings

Target = Callable[[bytes], None]
FAR = 2**53
_DOTTED = re.compile("[.]([A-Za-z_][A-Za-z_0-9]*)")
LEVELS = 127


# Location: a spelled path, read by a parser of its own, gives the same steps.


def parsed(path: bytes) -> list[str | int]:
    """Read a path as the server's reading commands do; raises ValueError where it is none."""
    text = path.decode()
    if text[:1] != "$":
        raise ValueError("no root")
    steps: list[str | int] = []
    at = 1
    while at < len(text):
        if dotted := _DOTTED.match(text, at):
            steps.append(dotted[1])
            at = dotted.end()
            continue
        if text[at] != "[":
            raise ValueError(f"neither a dot with a plain name nor a bracket at {at}")
        quote = text[at + 1]
        if quote in "'\"":
            name, at = _quoted(text, at + 2, quote)
            steps.append(name)
        else:
            end = text.index("]", at)
            steps.append(_index(text[at + 1 : end]))
            at = end
        if text[at : at + 1] != "]":
            raise ValueError(f"not closed at {at}")
        at += 1
    return steps


def _quoted(text: str, at: int, quote: str) -> tuple[str, int]:
    name = ""
    while text[at] != quote:
        if text[at] == "\\":
            at += 1
            if text[at] not in '\\"':
                raise ValueError("an escape that the server does not know")
        name += text[at]
        at += 1
    return name, at + 1


def _index(text: str) -> int:
    start, colon, stop = text.partition(":")
    if not colon:
        if start[:1] == "-":
            raise ValueError("a negative index clamps")
        return int(start)
    if int(start) >= 0 or (stop and int(stop) != int(start) + 1) or (not stop and start != "-1"):
        raise ValueError("not one element")
    return int(start)


def location(data: bytes) -> None:
    draw = Draw(data)
    at = Location("doc", b"doc", Settings())
    wanted: list[Any] = []
    while draw.left > 0 and len(wanted) < 40:
        steps = tuple(draw.step(surrogates=True) for _ in range(1 + draw.below(3)))
        odd = any(isinstance(step, str) and not _is_utf8(step) for step in steps)
        try:
            at = at.descend(steps)
        except ValueRangeError:
            assert odd
            return
        assert not odd
        wanted += [step if isinstance(step, str) else max(-FAR, min(FAR, step)) for step in steps]
        turn = draw.below(6)
        if turn == 1:
            at = at.refer()
        elif turn == 2 and not at.counted_from_end:
            at = at.hold()
        elif turn == 3:
            at, wanted = at.parent(), wanted[:-1]
        elif turn == 4:
            at = at.anchor()
            wanted = wanted[: len(at.steps)]
            assert at.writable
        assert parsed(at.path) == wanted
        assert at.path.startswith(b"$")
        spelled = at.base + b"".join(at.tail)
        assert spelled.startswith(b"$")
        assert (b"\\" in at.path) <= (not at.writable)
        at.describe()


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


# Codec: what is accepted comes back equal; what is refused is refused in either way to look at it.


class Refused(Exception):
    pass


def described(value: Any, depth: int = 0) -> Any:
    """What a value is as plain data, told in a few lines; raises Refused where it is none."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (str, int, float)):
        return _described_scalar(value)
    if isinstance(value, (Mapping, Sequence)):
        if depth >= LEVELS or isinstance(value, (bytes, bytearray, memoryview)):
            _refuse()
        if isinstance(value, Mapping):
            return _described_members(value, depth)
        return [described(item, depth + 1) for item in value]
    if isinstance(value, (np.generic, np.ndarray)) and type(value).__module__ == "numpy":
        if value.dtype.kind not in "biufOU" or value.dtype == np.longdouble:
            _refuse()
        return described(value.tolist(), depth)
    return _refuse()


def _described_scalar(value: Any) -> Any:
    if isinstance(value, str):
        text = "".join(list(str.__iter__(value)))
        return text if _is_utf8(text) else _refuse()
    if isinstance(value, int):
        number = int.__add__(value, 0)
        return number if -(2**63) <= number < 2**64 else _refuse()
    real = float.__add__(value, -0.0)
    return real if math.isfinite(real) else _refuse()


def _described_members(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, item in value.items():
        if not isinstance(name, str) or described(name) in members:
            _refuse()
        members[described(name)] = described(item, depth + 1)
    return members


def _refuse() -> Any:
    raise Refused


def codec(data: bytes) -> None:
    draw = Draw(data)
    check_codec(draw.value(), draw.pick((0, 0, 1, 60, 126)))


def check_codec(value: Any, above: int) -> None:
    try:
        wanted: Any = described(value, above)
    except Refused:
        wanted = Refused
    found = _outcome(lambda: encode(value, None, above))
    walked = _outcome(lambda: _Plain(None, above).convert(value))
    if wanted is Refused:
        assert found is Refused, value
        assert walked is Refused, value
        return
    if found is not Refused and isinstance(found, Encoded):
        text = found.text.decode()
        assert exact(json.loads(text)) == exact(wanted)
        assert exact(decode(found.text)) == exact(wanted)
        assert exact(walked) == exact(wanted)
    else:
        assert walked is Refused or _has_subnormal(wanted), value


def _outcome(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except (UnsupportedValueError, ValueRangeError):
        return Refused


def _has_subnormal(value: Any) -> bool:
    """A few subnormal floats have no spelling that the server reads right: they are refused."""
    if isinstance(value, dict):
        return any(map(_has_subnormal, value.values()))
    if isinstance(value, list):
        return any(map(_has_subnormal, value))
    return isinstance(value, float) and 0 < abs(value) < 2.3e-308


# JSONPath: what is let through holds nothing that is forbidden, and the server survives it.

TOKENS = (
    *("$", ".", "..", "*", "[", "]", "(", ")", "?", "@", "'", '"', "\\", ",", ":", " ", "==", "!="),
    *("<", ">=", "&&", "||", "=~", "!", "-", "+", "0", "1", "9223372036854775807", "e", "E", ".5"),
    *("9223372036854775808", "a", "b", "s", "arr", "deep", "true", "null", "1e999", "0x", "[*]"),
    *(
        "[?(@.a==1)]",
        "[0,1]",
        "['a','b']",
        "[-1:]",
        "[::2]",
        "..a",
        "\x00",
        "\n",
        "\u00e9",
        "\u0100",
    ),
    *(
        "\u4e00",
        "\ud800",
        "\U0001f600",
        "/",
        "length",
        "()",
        "~",
        "^",
        "{",
        "}",
        "|",
        "&",
        "=",
        "%",
    ),
)


def drawn_expression(data: bytes) -> str:
    draw = Draw(data)
    pieces = ["$"] if draw.below(8) else []
    while draw.left > 0 and len(pieces) < 400:
        piece = draw.pick(TOKENS)
        pieces += [piece] * draw.pick((1, 1, 1, 1, 1, 1, 2, 40))
    return "".join(pieces)


def jsonpath(data: bytes) -> str | None:
    """Return an expression that was let through, as text, or None."""
    text = drawn_expression(data)
    below = bool(data[-1:] and data[-1] % 2)
    try:
        sent = expression(text, below)
    except ValueRangeError:
        return None
    assert (b"$" + sent).decode() == text
    assert text.startswith("$")
    assert not any(ord(c) % 256 == 0 or "\ud800" <= c <= "\udfff" for c in text)
    outside = _outside_strings(text)
    digits = ""
    for character in outside + " ":
        if character.isascii() and character.isdigit():
            digits += character
        else:
            assert not digits or int(digits) < 2**63, text
            digits = ""
    assert outside.count("[") + outside.count("(") <= 128
    assert outside.count("..") <= 2
    assert not (below and "$" in outside[1:])
    return text


def _outside_strings(text: str) -> str:
    """The text with the content of its strings removed; an open one is taken as it stands."""
    result, at = "", 0
    while at < len(text):
        character = text[at]
        end = at + 1
        if character in "'\"":
            while end < len(text) and text[end] != character:
                end += 2 if text[end] == "\\" else 1
            if end < len(text):
                at = end + 1
                result += character * 2
                continue
            end = at + 1
        result += text[at:end]
        at = end
    return result


CONTENT = {
    "a": {"a": {"b": 1, "s": "text"}, "b": [1, 2.5, None]},
    "b": "\u4e00\u0100",
    "arr": [0, 1, {"a": 1}, [1, [2]], "s", True],
    "deep": [[[[[[{"a": {"a": {"a": [1]}}}]]]]]],
    "s": "\u4e00",
}


class Targets:
    """The targets that need a server."""

    def __init__(self, url: str) -> None:
        self.world = World(url)
        self._round = 0

    def close(self) -> None:
        self.world.close()

    def jsonpath(self, data: bytes) -> None:
        if jsonpath(data) is None:
            return
        world, text = self.world, drawn_expression(data)
        if self._round % 500 == 0:
            world.settle("doc", "a")
            world.raw.execute_command("JSON.SET", world.key, "$", json.dumps(CONTENT))
        self._round += 1
        for place in (("doc",), ("doc", "a"), ("doc", "arr", -1), ("doc", "none"), ("none",)):
            try:
                found = world.d.at(*place).query(text)
            except (ValueError, LookupError, TypeError):
                continue
            assert isinstance(found, list)
        world.alive()

    def verbs(self, data: bytes) -> None:
        draw = Draw(data)
        world = self.world
        name, document = draw.text(), draw.text()
        world.settle(document, name)
        path: list[str | int] = []
        for _ in range(draw.below(4)):
            path.append(draw.pick((name, draw.text(), draw.pick((0, 1, -1, -4)))))
        for _ in range(4):
            verb, form = draw.pick(ALL_VERBS), draw.below(8)
            world.run_one(verb, tuple(path), form)
        world.alive()
        self._misplaced(draw, name)

    def _misplaced(self, draw: Draw, name: str) -> None:
        """Any verb where something else is: whatever it says, only this place may change."""
        world = self.world
        before = world.put((), draw.json())
        verb = draw.pick(ALL_VERBS)
        place = tuple(draw.step() for _ in range(draw.below(3)))
        _, act = draw.pick(list(world.forms(verb, place)))
        try:
            act()
        except (RedisJSONDictError, LookupError, TypeError, ValueError, AttributeError):
            assert exact_state(world.state()) == exact_state(before)
            return
        after = world.state()
        after.pop(world.key, None)
        before.pop(world.key)
        assert exact_state(after) == exact_state(before)


def exact_state(state: dict[bytes, Any]) -> Any:
    return {key: (exact(content), ends) for key, (content, ends) in state.items()}


PURE: dict[str, Target] = {"location": location, "codec": codec}
SERVED = ("jsonpath", "verbs")
NAMES = (*PURE, *SERVED)

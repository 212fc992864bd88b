"""Every verb with its cost on the server, and how to call it; the rest is counted.

On top of each comes the depth of the place. *n* is the number of elements or members of the
container that the verb is on, *v* the size of the value that travels, *m* the number of things
asked for, *N* that of the keys on the server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["VERBS", "VerbCost"]


class VerbCost(NamedTuple):
    """One row of the table of costs.

    Attributes:
        name: as a user writes it.
        server: complexity of what the server does.
        prepare: returns a callable that does it once.
        warm: does the same elsewhere, so that its script is loaded.
        content: members to add to the document; beside it there is a document ``new``.
    """

    name: str
    server: str
    prepare: Callable[[Any], Callable[[], Any]]
    warm: Callable[[Any], Any]
    content: dict[str, Any]


_LIST = {"list": [5, 6, 7, 8], "flag": True, "text": "blue", "n": 1, "o": {"x": 1, "y": 2}}


def _verb(name: str, server: str, on: str, call: Callable[[Any], Any]) -> VerbCost:
    """Return a verb on a member of the document, or on the document, or on the dict."""

    def target(d: Any, key: str) -> Any:
        if on == "dict":
            return d
        return d[key] if on == "document" else d[key, on]

    def prepare(d: Any) -> Callable[[], Any]:
        held = target(d, "k")
        return lambda: call(held)

    def warm(d: Any) -> None:
        spare = "k" if on == "dict" else "warm"
        if on != "dict":
            d[spare] = dict(_LIST)
        call(target(d, spare))

    return VerbCost(name, server, prepare, warm, _LIST)


def _set(key: Any, value: Any) -> Callable[[Any], Any]:
    return lambda target: target.__setitem__(key, value)


VERBS: tuple[VerbCost, ...] = (
    _verb("d[k]", "O(1)", "dict", lambda d: d["k"]),
    _verb("d[k] = v", "O(v + what it replaces)", "dict", _set("new", 1)),
    _verb("k in d", "O(1)", "dict", lambda d: "k" in d),
    _verb("del d[k]", "O(size of the document)", "dict", lambda d: d.__delitem__("new")),
    _verb("d[k, ...]", "O(depth)", "dict", lambda d: d["k", "a", "b", "c"]),
    _verb("d[k, ...] = v", "O(depth + v)", "dict", _set(("k", "a", "b", "c"), 5)),
    _verb("o[k]", "O(1)", "document", lambda o: o["n"]),
    _verb("o[k] = v", "O(v)", "document", _set("n", 5)),
    _verb("del o[k]", "O(size of what goes)", "document", lambda o: o.__delitem__("n")),
    _verb("k in o", "O(1)", "document", lambda o: "n" in o),
    _verb("len(o)", "O(1)", "o", len),
    _verb("for k in o", "O(n)", "o", lambda o: [k for k in o]),
    _verb("o.items()", "O(n)", "o", lambda o: [*o.items()]),
    _verb("o.get_many(names)", "O(m)", "document", lambda o: o.get_many(["n", "text"])),
    _verb("o.setdefault(k, v)", "O(v)", "document", lambda o: o.setdefault("n", 5)),
    _verb("o.pop(k)", "O(v)", "document", lambda o: o.pop("n")),
    _verb("o.update(...)", "O(v)", "document", lambda o: o.update(n=5, text="red")),
    _verb("o.merge(patch)", "O(v)", "document", lambda o: o.merge({"n": 5})),
    _verb("o.incr(k)", "O(1)", "document", lambda o: o.incr("n")),
    _verb("o.toggle(k)", "O(1)", "document", lambda o: o.toggle("flag")),
    _verb(
        "o.concat(k, text)", "O(length of the text)", "document", lambda o: o.concat("text", "!")
    ),
    _verb("o.replace(v)", "O(n + v)", "o", lambda o: o.replace({"z": 1})),
    _verb("o.to_python()", "O(v)", "o", lambda o: o.to_python()),
    _verb("o.query(path)", "O(what the path visits)", "document", lambda o: o.query("$.o.x")),
    _verb("o.modify(function)", "O(v)", "o", lambda o: o.modify(lambda v: v | {"z": 1})),
    _verb("a[i]", "O(1)", "list", lambda a: a[1]),
    _verb("a[i:j]", "O(what travels)", "list", lambda a: a[1:3]),
    _verb("a[i] = v", "O(v)", "list", _set(1, 9)),
    _verb("a[i:j] = values", "O(n + v)", "list", _set(slice(1, 2), [9, 9])),
    _verb("del a[i]", "O(n - i)", "list", lambda a: a.__delitem__(1)),
    _verb("len(a)", "O(1)", "list", len),
    _verb("v in a", "O(n)", "list", lambda a: 7 in a),
    _verb("for v in a", "O(n)", "list", lambda a: [v for v in a]),
    _verb("a.append(v)", "O(v)", "list", lambda a: a.append(9)),
    _verb("a.append(v, maxlen=n)", "O(n)", "list", lambda a: a.append(9, maxlen=3)),
    _verb("a.extend(values)", "O(v)", "list", lambda a: a.extend([9, 9])),
    _verb("a.insert(i, v)", "O(n - i + v)", "list", lambda a: a.insert(0, 9)),
    _verb("a.pop()", "O(v)", "list", lambda a: a.pop()),
    _verb("a.pop(i)", "O(n - i + v)", "list", lambda a: a.pop(0)),
    _verb("a.remove(v)", "O(n)", "list", lambda a: a.remove(7)),
    _verb("a.index(v)", "O(n)", "list", lambda a: a.index(7)),
    _verb("a.sort(), a.reverse()", "O(n)", "list", lambda a: a.reverse()),
    _verb("a.trim(i, j)", "O(n)", "list", lambda a: a.trim(1, 3)),
    _verb("len(d), for k in d", "O(N)", "dict", len),
    _verb("d.get_many(keys)", "O(m)", "dict", lambda d: d.get_many(["k", "other"])),
    _verb("d.update(...)", "O(v)", "dict", lambda d: d.update(x=1, y=2)),
    _verb("d.rename(old, new)", "O(1)", "dict", lambda d: d.rename("new", "r")),
    _verb("d.ttl(k)", "O(1)", "dict", lambda d: d.ttl("k")),
    _verb("d.expire(k, time)", "O(1)", "dict", lambda d: d.expire("k", 600)),
)

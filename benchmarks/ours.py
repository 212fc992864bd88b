"""This library in the forms that its users may choose from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.contenders import MINE, Call, Contender, values
from redisjson_dict import RedisJSONDict

__all__ = ["Ours", "OursAdding", "OursAt", "OursChained", "OursHeld"]


class Ours(Contender):
    """This library, with a path as the key."""

    name = MINE

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, prefix)
        self.d = RedisJSONDict(self.client, prefix)

    def store(self, key: str, document: Any) -> None:
        self.d[key] = document

    def setter(self, key: str) -> Call:
        d, value = self.d, values()

        def call() -> None:
            d[key, "a", "b", "c"] = value()

        return call

    def appender(self, key: str) -> Call:
        d, value = self.d, values()
        return lambda: d.at(key, "a", "b", "list").append(value())

    def reader(self, key: str) -> Call:
        d = self.d
        return lambda: d[key, "a", "b", "c"]

    def counter(self, key: str) -> Call:
        d = self.d
        return lambda: d.at(key, "rows").length()

    def incrementer(self, key: str) -> Call:
        d = self.d
        return lambda: d.incr((key, "a", "b", "n"))

    def number(self, key: str) -> int:
        return int(self.d[key, "a", "b", "n"])

    def length(self, key: str) -> int:
        return len(self.d[key, "a", "b", "list"])

    def top_set(self, key: str, value: Any = None) -> Call:
        d = self.d
        following = values() if value is None else (lambda: value)
        return lambda: d.__setitem__(key, following())

    def top_get(self, key: str) -> Call:
        d = self.d
        return lambda: d[key]

    def top_in(self, key: str) -> Call:
        d = self.d
        return lambda: key in d

    def top_del(self, keys: Iterable[str]) -> Call:
        d, following = self.d, iter(keys).__next__
        return lambda: d.__delitem__(following())

    def updater(self, documents: Mapping[str, Any]) -> Call:
        return lambda: self.d.update(documents)

    def dumper(self) -> Call:
        return self.d.to_python

    def sizer(self) -> Call:
        return lambda: len(self.d)

    def walker(self) -> Call:
        return lambda: [key for key in self.d]

    def batcher(self, key: str, count: int) -> Call:
        value = values()

        def batch() -> None:
            with self.d.pipeline() as pipeline:
                place = pipeline.at(key, "a", "b", "c")
                for _ in range(count):
                    place.set(value())

        return batch

    def top_batcher(self, count: int) -> Call:
        names, value = [f"x{n}" for n in range(count)], values()

        def batch() -> None:
            with self.d.pipeline() as pipeline:
                for name in names:
                    pipeline[name] = value()

        return batch


class OursHeld(Ours):
    """This library, with the proxy of ``a.b`` kept."""

    name = "redisjson_dict, held proxy"

    def setter(self, key: str) -> Call:
        node, value = self.d[key]["a"]["b"], values()
        return lambda: node.__setitem__("c", value())

    def appender(self, key: str) -> Call:
        node, value = self.d[key]["a"]["b"]["list"], values()
        return lambda: node.append(value())

    def reader(self, key: str) -> Call:
        node = self.d[key]["a"]["b"]
        return lambda: node["c"]

    def counter(self, key: str) -> Call:
        rows = self.d[key]["rows"]
        return lambda: len(rows)

    def incrementer(self, key: str) -> Call:
        node = self.d[key]["a"]["b"]
        return lambda: node.incr("n")


class OursAt(Ours):
    """This library, with a reference made each time."""

    name = "redisjson_dict, at"

    def setter(self, key: str) -> Call:
        d, value = self.d, values()
        return lambda: d.at(key, "a", "b", "c").set(value())

    def reader(self, key: str) -> Call:
        d = self.d
        return lambda: d.at(key, "a", "b", "c").get()


class OursChained(Ours):
    """This library, as one would write it with a dict: a round trip for each level."""

    name = "redisjson_dict, chain"

    def setter(self, key: str) -> Call:
        d, value = self.d, values()
        return lambda: d[key]["a"]["b"].__setitem__("c", value())

    def appender(self, key: str) -> Call:
        d, value = self.d, values()
        return lambda: d[key]["a"]["b"]["list"].append(value())

    def reader(self, key: str) -> Call:
        d = self.d
        return lambda: d[key]["a"]["b"]["c"]

    def counter(self, key: str) -> Call:
        d = self.d
        return lambda: len(d[key]["rows"])

    def incrementer(self, key: str) -> Call:
        d = self.d
        return lambda: d[key]["a"]["b"].incr("n")


class OursAdding(Ours):
    """This library, with ``+= 1``, which reads and then writes."""

    name = "redisjson_dict, += 1"

    def incrementer(self, key: str) -> Call:
        node = self.d[key]["a"]["b"]

        def call() -> None:
            node["n"] += 1

        return call

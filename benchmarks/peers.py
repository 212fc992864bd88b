"""The peers: other libraries that put a dict in Redis, each used as its documentation shows.

Where a library writes nested changes through, the change is written as on a dict; where it does
not, the value is fetched, changed and stored again, which is what its user must do.
"""

from __future__ import annotations

import importlib
import importlib.util
import typing
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import redis

from benchmarks.contenders import ByHand, Call, Contender, Helper, NotOffered, Raw, values
from benchmarks.ours import Ours, OursAdding, OursAt, OursChained, OursHeld

__all__ = ["EVERYBODY", "PEERS", "missing", "named"]


class Peer(Contender):
    """A peer whose dict is `d`; nested changes are written through."""

    d: Any

    def store(self, key: str, document: Any) -> None:
        self.d[key] = document

    def setter(self, key: str) -> Call:
        value = values()
        return lambda: self.d[key]["a"]["b"].__setitem__("c", value())

    def appender(self, key: str) -> Call:
        value = values()
        return lambda: self.d[key]["a"]["b"]["list"].append(value())

    def reader(self, key: str) -> Call:
        return lambda: self.d[key]["a"]["b"]["c"]

    def counter(self, key: str) -> Call:
        return lambda: len(self.d[key]["rows"])

    def incrementer(self, key: str) -> Call:
        def add() -> None:
            self.d[key]["a"]["b"]["n"] += 1

        return add

    def number(self, key: str) -> int:
        return int(self.d[key]["a"]["b"]["n"])

    def length(self, key: str) -> int:
        return len(self.d[key]["a"]["b"]["list"])

    def top_set(self, key: str, value: Any = None) -> Call:
        following = values() if value is None else (lambda: value)
        return lambda: self.d.__setitem__(key, following())

    def top_get(self, key: str) -> Call:
        return lambda: self.d[key]

    def top_in(self, key: str) -> Call:
        return lambda: key in self.d

    def top_del(self, keys: Iterable[str]) -> Call:
        following = iter(keys).__next__
        return lambda: self.d.__delitem__(following())

    def updater(self, documents: Mapping[str, Any]) -> Call:
        return lambda: self.d.update(documents)

    def dumper(self) -> Call:
        return lambda: dict(self.d.items())

    def sizer(self) -> Call:
        return lambda: len(self.d)

    def walker(self) -> Call:
        return lambda: [key for key in self.d]


class Restoring(Peer):
    """A peer without nested write-through: what is read is a copy."""

    def setter(self, key: str) -> Call:
        value = values()
        return self._changing(key, lambda node: node.__setitem__("c", value()))

    def appender(self, key: str) -> Call:
        value = values()
        return self._changing(key, lambda node: node["list"].append(value()))

    def incrementer(self, key: str) -> Call:
        return self._changing(key, lambda node: node.__setitem__("n", node["n"] + 1))

    def _changing(self, key: str, change: Callable[[dict[str, Any]], Any]) -> Call:
        def call() -> None:
            document = self.d[key]
            change(document["a"]["b"])
            self.d[key] = document

        return call


class RedisJsonDict(Peer):
    """redis-json-dict: text in Redis strings, nested writes go through."""

    name = "redis-json-dict"
    module = "redis_json_dict"

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, prefix)
        self.d = importlib.import_module(self.module).RedisJSONDict(self.client, prefix)


class RedisDict(Restoring):
    """redis-dict: typed text in Redis strings."""

    name = "redis-dict"
    module = "redis_dict"

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, prefix)
        self.client.close()
        self.client = redis.Redis.from_url(url, decode_responses=True)
        self.d = importlib.import_module(self.module).RedisDict(prefix, redis=self.client)

    def dumper(self) -> Call:
        return self.d.to_dict

    def top_batcher(self, count: int) -> Call:
        names, value = [f"x{n}" for n in range(count)], values()

        def batch() -> None:
            with self.d.pipeline():
                for name in names:
                    self.d[name] = value()

        return batch


class KvDict(Peer):
    """kv-dict: text in Redis strings, by asyncio in a thread."""

    name = "kv-dict"
    module = "kv_dict"

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, prefix)
        if not hasattr(typing, "override"):  # it needs Python 3.12 for this name only
            typing.override = lambda function: function  # type: ignore[attr-defined]  # 3.12's
        package = importlib.import_module(self.module)
        self.d = package.RemoteKVMapping(package.RedisBackend(url), prefix)

    def close(self) -> None:
        self.d.close()
        super().close()

    def dumper(self) -> Call:
        raise NotOffered("walks all keys once for every key")


class Pottery(Restoring):
    """pottery: one Redis hash, a field of text for each key."""

    name = "pottery"
    module = "pottery"

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, prefix)
        package = importlib.import_module(self.module)
        warnings.simplefilter("ignore", package.InefficientAccessWarning)
        self.d = package.RedisDict(redis=self.client, key=prefix)

    def dumper(self) -> Call:
        return self.d.to_dict


class RedisOm(Restoring):
    """redis-om: pydantic models in RedisJSON, sent whole."""

    name = "redis-om"
    module = "redis_om"

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, prefix)
        self.d = _Models(importlib.import_module(self.module), self.client, prefix)

    def setter(self, key: str) -> Call:
        value = values()
        return self._changing(key, lambda model: model.a["b"].__setitem__("c", value()))

    def appender(self, key: str) -> Call:
        value = values()
        return self._changing(key, lambda model: model.a["b"]["list"].append(value()))

    def incrementer(self, key: str) -> Call:
        def add(model: Any) -> None:
            model.a["b"]["n"] += 1

        return self._changing(key, add)

    def _changing(self, key: str, change: Callable[[Any], Any]) -> Call:
        def call() -> None:
            model = self.d.tree.get(key)
            change(model)
            model.save()

        return call

    def reader(self, key: str) -> Call:
        return lambda: self.d.tree.get(key).a["b"]["c"]

    def counter(self, key: str) -> Call:
        return lambda: len(self.d.tree.get(key).rows)

    def number(self, key: str) -> int:
        return int(self.d.tree.get(key).a["b"]["n"])

    def length(self, key: str) -> int:
        return len(self.d.tree.get(key).a["b"]["list"])


class _Models:
    """redis-om's two models behind a dict's methods."""

    def __init__(self, package: Any, client: redis.Redis, prefix: str) -> None:
        common = {"database": client, "global_key_prefix": prefix}
        tree = type("Meta", (), {**common, "model_key_prefix": "tree"})
        flat = type("Meta", (), {**common, "model_key_prefix": "flat"})
        name = f"Tree{uuid.uuid4().hex}"
        self.tree = type(package.JsonModel)(
            name,
            (package.JsonModel,),
            {
                "__module__": __name__,
                "__qualname__": name,
                "__annotations__": {"a": Any, "rows": Any},
                "Meta": tree,
            },
            index=True,
        )
        self.flat = type(package.JsonModel)(
            f"Flat{name}",
            (package.JsonModel,),
            {
                "__module__": __name__,
                "__qualname__": f"Flat{name}",
                "__annotations__": {"value": Any},
                "Meta": flat,
            },
            index=True,
        )

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, dict) and "rows" in value:
            self.tree(pk=key, **value).save()
        else:
            self.flat(pk=key, value=value).save()

    def __getitem__(self, key: str) -> Any:
        return self.flat.get(key).value

    def __contains__(self, key: str) -> bool:
        return bool(self.flat.db().exists(self.flat.make_primary_key(key)))

    def __delitem__(self, key: str) -> None:
        self.flat.delete(key)

    def __iter__(self) -> typing.Iterator[str]:
        return iter(self.flat.all_pks())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def update(self, documents: Mapping[str, Any]) -> None:
        """Add all in one pipeline."""
        self.flat.add([self.flat(pk=key, value=value) for key, value in documents.items()])

    def items(self) -> typing.Iterator[tuple[str, Any]]:
        """Read one by one, as there is no other way."""
        return ((key, self[key]) for key in self)


PEERS: tuple[type[Contender], ...] = (RedisJsonDict, RedisDict, KvDict, Pottery, RedisOm)
EVERYBODY: tuple[type[Contender], ...] = (
    Raw,
    ByHand,
    Helper,
    Ours,
    OursHeld,
    OursAt,
    OursChained,
    *PEERS,
)


def missing(kind: type[Contender]) -> str:
    """Return why a contender cannot take part, or nothing."""
    if importlib.util.find_spec(kind.module) is None:
        return "not installed"
    return ""


def named(name: str) -> type[Contender]:
    """Return the contender of that name."""
    return next(kind for kind in (*EVERYBODY, OursAdding) if kind.name == name)

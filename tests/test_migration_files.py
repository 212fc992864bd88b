"""Migration of files that shelve and the real sqlitedict have written, and of JSON."""

from __future__ import annotations

import dbm.dumb
import json
import pickle
import shelve
import sqlite3
import zlib
from collections import OrderedDict, defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from sqlitedict import SqliteDict

from redisjson_dict import RedisJSONDict
from redisjson_dict.migration import (
    JSONSource,
    RedisJSONDictSource,
    ShelveSource,
    SourceError,
    SqliteDictSource,
    migrate,
)

VALUES = {
    "": "empty",
    "a.b '\"\\": {"deep": [1, 2.5, None, True, "é\0"]},
    "🙂": 2**64 - 1,
    "tuple": (1, (2,)),
    "ordered": OrderedDict(b=1, a=2),
    "default": defaultdict(int, a=1),
}
PLAIN = json.loads(json.dumps(VALUES))
CONVERTIBLE = {
    "set": ({2, 1}, [1, 2]),
    "frozenset": (frozenset("ba"), ["a", "b"]),
    "datetime": (datetime(2020, 1, 2, tzinfo=UTC), "2020-01-02T00:00:00+00:00"),
    "date": (date(2020, 1, 2), "2020-01-02"),
    "time": (time(1, 2), "01:02:00"),
    "timedelta": (timedelta(seconds=1.5), 1.5),
    "decimal": (Decimal("1.10"), "1.10"),
    "uuid": (UUID(int=1), str(UUID(int=1))),
    "complex": (1j, [0.0, 1.0]),
    "bytes": (b"\0", "AA=="),
    "nested": ({"a": [{1}]}, {"a": [[1]]}),
}


class Loud:
    """Runs something when it is unpickled, as any foreign pickle may."""

    ran: list[str] = []

    def __reduce__(self):
        return Loud.ran.append, ("it ran",)


HOSTILE = {
    "class": Loud(),
    "keys": {1: "a"},
    "nan": float("nan"),
    "large": 2**64,
    "numpy": np.arange(3),
    "mixed": {1, (2, 3)},
}


@pytest.fixture
def new(client, prefix):
    return RedisJSONDict(client, prefix)


@pytest.fixture(params=["shelve", "dumb", "sqlitedict"])
def stored(request, tmp_path):
    """Stores values in a new file, and returns it as a source."""
    path = tmp_path / 'o\'ld "data"'

    def store(values):
        if request.param == "sqlitedict":
            with SqliteDict(str(path), autocommit=False) as opened:
                opened.update(values)
                opened.commit()
            return SqliteDictSource(path)
        if request.param == "shelve":
            with shelve.open(str(path), "c") as shelf:
                shelf.update(values)
        else:
            with shelve.Shelf(dbm.dumb.open(str(path), "c")) as shelf:
                shelf.update(values)
        return ShelveSource(path)

    return store


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_json_is_carried(stored, new, tmp_path):
    source = stored(VALUES)
    before = files(tmp_path)

    report = migrate(source, new)

    assert report.counts == {"carried": len(VALUES)}
    assert source.size() == len(VALUES)
    assert new.to_python() == PLAIN
    assert migrate(source, new).counts == {"same": len(VALUES)}
    assert files(tmp_path) == before


def test_other_types_are_refused_or_converted(stored, new):
    source = stored({key: value for key, (value, _) in CONVERTIBLE.items()})

    assert migrate(source, new).counts == {"refused": len(CONVERTIBLE)}
    assert len(new) == 0
    assert migrate(source, new, convert=True).counts == {"carried": len(CONVERTIBLE)}
    assert new.to_python() == {key: plain for key, (_, plain) in CONVERTIBLE.items()}


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_what_is_not_plain_data_is_refused_and_not_run(tmp_path, new, protocol):
    with shelve.open(str(tmp_path / "s"), "c", protocol=protocol) as shelf:
        shelf.update(HOSTILE)
        Loud.ran.clear()

    report = migrate(ShelveSource(tmp_path / "s"), new, convert=True)

    assert report.counts == {"refused": len(HOSTILE)}
    assert Loud.ran == []
    (told,) = [problem.why for problem in report.problems if problem.key == "class"]
    assert "nothing of it was run" in told


@pytest.mark.parametrize(
    "damaged",
    [b"", b"\x80", b"garbage", pickle.dumps([1, 2])[:-3], b"(lp0\n", b"\x80\x04\x8e" + b"\xff" * 8],
)
def test_damaged_pickle_is_refused(tmp_path, new, damaged):
    with dbm.dumb.open(str(tmp_path / "s"), "c") as opened:
        opened[b"k"], opened[b"\xff"] = damaged, pickle.dumps(1)

    report = migrate(ShelveSource(tmp_path / "s"), new)

    assert report.counts == {"refused": 2}


def test_cycle_is_refused(stored, new):
    value: list[object] = []
    value.append(value)

    assert migrate(stored({"k": value}), new).counts == {"refused": 1}


@pytest.mark.parametrize("source", [ShelveSource, SqliteDictSource, JSONSource])
def test_file_that_is_not_there(tmp_path, new, source):
    with pytest.raises(SourceError, match="nothing here"):
        migrate(source(tmp_path / "nothing here"), new)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", [ShelveSource, SqliteDictSource, JSONSource])
def test_file_of_another_kind(tmp_path, new, source):
    (tmp_path / "text").write_text("neither this nor that, but long enough to look like something")

    with pytest.raises(SourceError):
        migrate(source(tmp_path / "text"), new)


def test_table_that_is_not_there(tmp_path, new):
    with SqliteDict(str(tmp_path / "s"), tablename='my "table"', autocommit=True) as opened:
        opened["k"] = 1

    with pytest.raises(SourceError, match="""the file's tables are 'my "table"'"""):
        migrate(SqliteDictSource(tmp_path / "s"), new)
    assert migrate(SqliteDictSource(tmp_path / "s", 'my "table"'), new).ok


def test_values_that_are_no_pickles(tmp_path, new):
    with SqliteDict(str(tmp_path / "s"), encode=json.dumps, decode=json.loads) as opened:
        opened["k"] = {"a": 1}
        opened.commit()

    report = migrate(SqliteDictSource(tmp_path / "s"), new)

    assert "--values json" in report.problems[0].why
    assert migrate(SqliteDictSource(tmp_path / "s", decode=json.loads), new).ok
    assert new.to_python() == {"k": {"a": 1}}


def test_values_in_an_encoding_of_their_own(tmp_path, new):
    def encode(value):
        return sqlite3.Binary(zlib.compress(pickle.dumps(value)))

    def decode(stored):
        return pickle.loads(zlib.decompress(stored))

    with SqliteDict(str(tmp_path / "s"), encode=encode, decode=decode) as opened:
        opened["k"] = [1]
        opened.commit()

    assert migrate(SqliteDictSource(tmp_path / "s"), new).counts == {"refused": 1}
    assert migrate(SqliteDictSource(tmp_path / "s", decode=decode), new).ok


def test_members_of_a_json_file_are_documents(tmp_path, new):
    (tmp_path / "s.json").write_text('{"a": {"b": [1, 1.0]}, "": null, "n": NaN, "i": 1e999}')

    report = migrate(JSONSource(tmp_path / "s.json"), new)

    assert report.counts == {"carried": 2, "refused": 2}
    assert repr(new["a"].to_python()) == "{'b': [1, 1.0]}"


@pytest.mark.parametrize("content", ["[1]", '"x"', "{", "", "\xff", "[" * 100_000])
def test_json_file_must_hold_an_object(tmp_path, new, content):
    (tmp_path / "s.json").write_text(content, encoding="latin-1")

    with pytest.raises(SourceError, match=r"s\.json"):
        migrate(JSONSource(tmp_path / "s.json"), new)


def test_round_trip_by_way_of_a_file(tmp_path, client, prefix):
    (tmp_path / "s.json").write_text(json.dumps(PLAIN))
    first, second = RedisJSONDict(client, prefix + "1:"), RedisJSONDict(client, prefix + "2:")

    migrate(JSONSource(tmp_path / "s.json"), first)
    migrate(RedisJSONDictSource(client, prefix + "1:"), second)

    assert second == first == PLAIN

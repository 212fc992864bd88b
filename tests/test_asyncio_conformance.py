"""`redisjson_dict.asyncio` under those checks and cases of `dict` and `list` it has verbs for."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from conformance import (
    ELEMENTS,
    MAPPING,
    MAPPING_CASES,
    MEMBERS,
    ORDERED,
    SEQUENCE,
    SEQUENCE_CASES,
    Make,
    distinct_slices,
    outcome,
)
from driven import Driver

from redisjson_dict.asyncio import AsyncReference, RedisJSONDict

MISSING = object()
PLACES: dict[str, tuple[str, ...]] = {
    "member": ("doc", "in"),
    "odd": ("doc", " lead", "b\\"),
}


class NoVerbError(BaseException):
    """The asyncio shell has no verb for that: no `Exception`, so that no case takes it for one."""


def refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise NoVerbError


class Refusing:
    """What dict, list and their views can do, and the shell cannot."""

    __getattr__ = __reduce_ex__ = __repr__ = __str__ = __format__ = __hash__ = __call__ = refuse
    __iter__ = __len__ = __contains__ = __reversed__ = __eq__ = __ne__ = refuse  # type: ignore[assignment]
    __lt__ = __le__ = __gt__ = __ge__ = __neg__ = refuse
    __add__ = __radd__ = __iadd__ = __mul__ = __rmul__ = __imul__ = __sub__ = __rsub__ = refuse
    __or__ = __ror__ = __ior__ = __and__ = __rand__ = __xor__ = __rxor__ = refuse


class View(Refusing):
    """What keys(), values() or items() give: read anew for each iteration."""

    def __init__(self, walk: Callable[[], Iterator[Any]]) -> None:
        self.walk = walk

    def __iter__(self) -> Iterator[Any]:
        return self.walk()

    def __len__(self) -> int:
        return sum(1 for _ in self.walk())


class Contender(Refusing):
    """The names of dict and list for the verbs of something of the asyncio shell."""

    _fetchable = True  # for to_python() of the package

    def __init__(self, driver: Driver, target: Any) -> None:
        self.driver = driver
        self.target = target

    def run(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Run a verb; containers among the arguments are passed as plain data."""
        sent = [arg.to_python() if isinstance(arg, Contender) else arg for arg in args]
        return self.shown(self.driver.run(getattr(self.target, name)(*sent, **kwargs)))

    def shown(self, value: Any) -> Any:
        """Return a reference to a container as a contender."""
        if not isinstance(value, AsyncReference):
            return value
        kind = {"object": Object, "array": Array}[self.driver.run(value.kind())]
        return kind(self.driver, value)

    def to_python(self) -> Any:
        if self.driver.loop.is_running():
            raise NoVerbError  # content of a container that is met while something is sent
        return self.driver.run(self.target.to_python())

    copy = to_python

    def __eq__(self, other: object) -> bool:
        return self.to_python() == other

    def __ne__(self, other: object) -> bool:
        return self.to_python() != other

    __hash__ = refuse  # type: ignore[assignment]

    def __len__(self) -> int:
        return self.run("length")

    def clear(self, *args: Any) -> None:
        return self.run("clear", *args)


class Keyed(Contender):
    """What a whole dict and an object have in common."""

    def __contains__(self, key: Any) -> bool:
        return self.run("contains", self.key(key))

    def key(self, key: Any) -> Any:
        return key

    def get(self, key: Any, default: Any = None) -> Any:
        return self.run("get", self.key(key), default)

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key, MISSING)
        if value is MISSING:
            raise KeyError(key)
        return self.shown(self.target[key]) if isinstance(value, (dict, list)) else value

    def pop(self, key: Any, *default: Any) -> Any:
        return self.run("pop", self.key(key), *default)

    def popitem(self, *args: Any) -> tuple[str, Any]:
        return self.run("popitem", *args)

    def setdefault(self, key: Any, *default: Any) -> Any:
        return self.run("setdefault", self.key(key), *default)

    def update(self, /, *args: Any, **more: Any) -> None:
        return self.run("update", *args, **more)

    def items(self) -> View:
        return View(
            lambda: ((name, self.shown(v)) for name, v in self.driver.walk(self.target.items()))
        )


class Whole(Keyed):
    """A `RedisJSONDict`."""

    def __setitem__(self, key: Any, value: Any) -> None:
        self.run("set", key, value)

    def __delitem__(self, key: Any) -> None:
        self.run("delete", key)

    def __iter__(self) -> Iterator[str]:
        return self.driver.walk(aiter(self.target))

    def keys(self) -> View:
        return View(lambda: iter(self.run("keys")))

    def values(self) -> View:
        return View(lambda: map(self.shown, self.driver.walk(self.target.values())))


class Object(Keyed):
    """A reference to an object: takes names, and paths where dict would take a tuple."""

    def key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise NoVerbError
        return key

    def __setitem__(self, key: Any, value: Any) -> None:
        Contender(self.driver, self.target[self.key(key)]).run("set", value)

    def __delitem__(self, key: Any) -> None:
        try:
            self.driver.run(self.target[self.key(key)].delete())
        except KeyError as error:  # which names the whole path
            raise KeyError(error.args[0][-1]) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.run("keys"))

    def keys(self) -> View:
        return View(self.__iter__)

    def values(self) -> View:
        return View(lambda: (value for _, value in self.items()))


class Array(Contender):
    """A reference to an array: where nothing is, it says `KeyError`, with the whole path."""

    def at(self, index: Any) -> AsyncReference:
        if isinstance(index, (str, tuple, slice)) or not hasattr(index, "__index__"):
            raise NoVerbError
        return self.target[index]

    def inside(self, name: str, at: AsyncReference, *args: Any) -> Any:
        try:
            return Contender(self.driver, at).run(name, *args)
        except KeyError as error:
            raise IndexError from error

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.run("get_slice", index)
        value = self.inside("get", self.at(index))
        return self.shown(self.target[index]) if isinstance(value, (dict, list)) else value

    def __setitem__(self, index: Any, value: Any) -> None:
        self.inside("set", self.at(index), value)

    def __delitem__(self, index: Any) -> None:
        self.inside("delete", self.at(index))

    def pop(self, index: Any = -1) -> Any:
        self.at(index)
        return self.run("pop", index)

    def __iter__(self) -> Iterator[Any]:
        return map(self.shown, self.driver.walk(self.target.elements()))


def same(name: str) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: self.run(name, *args, **kwargs)


for _name in ("append", "extend", "insert", "remove", "index", "count", "sort", "reverse"):
    setattr(Array, _name, same(_name))


@pytest.fixture(scope="module")
def driver(url: str) -> Iterator[Driver]:
    with Driver(url) as driver:
        yield driver


@pytest.fixture
def whole(driver: Driver, prefix: str) -> Make:
    numbers = itertools.count()

    def filled(content: dict[str, Any]) -> Whole:
        box = Whole(driver, RedisJSONDict(driver.client, f"{prefix}{next(numbers)}:"))
        box.update(content)
        return box

    return filled


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def placed(place: str, driver: Driver, prefix: str) -> Make:
    numbers = itertools.count()
    name, *steps = PLACES[place]

    def filled(content: Any) -> Object | Array:
        at = RedisJSONDict(driver.client, f"{prefix}{next(numbers)}:")[name]
        document = content
        for step in reversed(steps):
            document = {step: document, "other": [0]}
        driver.run(at.set(document))
        kind = Object if isinstance(content, dict) else Array
        return kind(driver, at.at(*steps))

    return filled


# What asks for the type itself, or stores a reference inside something else.
NOT_FOR_VERBS = ["mutable", "abcs", "match_statement", "type(m).fromkeys", "'c1': m['o']"]
# What takes more round trips than it is worth here: see `test_awaited_slices_read_as_lists`.
EXHAUSTIVE = ["every_slice"]


def selected(name: str, left_out: list[str]) -> bool:
    return not any(part in name for part in NOT_FOR_VERBS + left_out)


def agreeing(cases: list[str], name: str, content: Any, make: Make) -> int:
    """Run the cases that verbs can serve, and return how many these are."""
    ran, wrong = 0, {}
    for case in cases:
        if not selected(case, []):
            continue
        try:
            got = outcome(case, name, make(content))
        except NoVerbError:
            continue
        ran += 1
        expected = outcome(case, name, copy.deepcopy(content))
        if got != expected:
            wrong[case] = got, expected
    assert wrong == {}
    return ran


def passing(checks: list[Callable[[Make], None]], make: Make, left_out: list[str]) -> int:
    """Run the checks, and return how many verbs could serve to the end."""
    ran = 0
    for check in checks:
        if selected(check.__name__, left_out):
            with contextlib.suppress(NoVerbError):
                check(make)
                ran += 1
    return ran


# How many at least: so that a method missing here by mistake does not pass for agreement.


def test_awaited_dict_agrees_with_dict(whole):
    assert agreeing(MAPPING_CASES, "m", MEMBERS, whole) >= 500


def test_awaited_object_agrees_with_dict(placed):
    assert agreeing(MAPPING_CASES, "m", MEMBERS, placed) >= 400


def test_awaited_array_agrees_with_list(placed):
    assert agreeing(SEQUENCE_CASES, "a", ELEMENTS, placed) >= 550


def test_awaited_dict_does_as_dict(whole):
    assert passing(MAPPING, whole, EXHAUSTIVE) >= 8


def test_awaited_object_does_as_dict(placed):
    # Of 2,345 members each container is asked for its kind: a whole dict, above, must do.
    assert passing(MAPPING + ORDERED, placed, [*EXHAUSTIVE, "many_members"]) >= 7


def test_awaited_array_does_as_list(placed):
    assert passing(SEQUENCE, placed, EXHAUSTIVE) >= 10


def test_awaited_slices_read_as_lists(placed):
    for size in range(6):
        content = [number if number % 2 else [number] for number in range(size)]
        box = placed(content)
        for part in distinct_slices(size):
            assert (part, box[part]) == (part, content[part])

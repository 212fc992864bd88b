"""What `dict` and `list` do, as checks for anything that claims to do the same.

A case is a line of Python about ``m`` (a mapping) or ``a`` (a sequence). It runs on the built-in
type first and then on the contender; result, exception class and content must agree. A check is a
function that takes a factory, for what one line cannot say.
"""

from __future__ import annotations

import collections
import copy
import itertools
import json
import operator
import pickle
import types
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    MutableSequence,
    Reversible,
    Sequence,
    Sized,
)
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from redisjson_dict import to_python

Make = Callable[[Any], Any]

MAPPING: list[Callable[[Make], None]] = []
ORDERED: list[Callable[[Make], None]] = []
SEQUENCE: list[Callable[[Make], None]] = []


def mapping(check: Callable[[Make], None]) -> Callable[[Make], None]:
    MAPPING.append(check)
    return check


def ordered(check: Callable[[Make], None]) -> Callable[[Make], None]:
    ORDERED.append(check)
    return check


def sequence(check: Callable[[Make], None]) -> Callable[[Make], None]:
    SEQUENCE.append(check)
    return check


def check_mapping(make: Make) -> None:
    """Run every check of a mapping whose order may be arbitrary."""
    for check in MAPPING:
        check(make)
    for case in MAPPING_CASES:
        check_case(case, "m", MEMBERS, dict, make)


def check_sequence(make: Make) -> None:
    """Run every check of a sequence."""
    for check in SEQUENCE:
        check(make)
    for case in SEQUENCE_CASES:
        check_case(case, "a", ELEMENTS, list, make)


class Index:
    """An index that is no int."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Keyed:
    """What `update` takes besides mappings: an object with keys()."""

    def __init__(self, **members: Any) -> None:
        self.members = members

    def keys(self) -> Iterable[str]:
        return self.members.keys()

    def __getitem__(self, name: str) -> Any:
        return self.members[name]


class Text(str):
    """A subclass of str."""


class Taker:
    """A right operand that knows what to do with anything."""

    def __radd__(self, other: Any) -> str:
        return "radd"

    def __rmul__(self, other: Any) -> str:
        return "rmul"

    def __ror__(self, other: Any) -> str:
        return "ror"

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


class Failing:
    """An iterable that breaks."""

    def __iter__(self) -> Iterator[Any]:
        raise ZeroDivisionError


NAMES = {
    "Index": Index,
    "Keyed": Keyed,
    "Text": Text,
    "Taker": Taker,
    "Failing": Failing,
    "Decimal": Decimal,
    "Fraction": Fraction,
    "UserDict": collections.UserDict,
    "UserList": collections.UserList,
    "OrderedDict": collections.OrderedDict,
    "ChainMap": collections.ChainMap,
    "proxy": types.MappingProxyType,
    "deque": collections.deque,
    "copy": copy,
    "json": json,
    "operator": operator,
    "pickle": pickle,
    "islice": itertools.islice,
    "to_python": to_python,
}


def exact(value: Any) -> Any:
    """Return a value such that 1, 1.0 and True, list and tuple differ, and order of keys not."""
    value = to_python(value)
    if isinstance(value, Mapping):
        return ("dict", {name: exact(item) for name, item in value.items()})
    if isinstance(value, (set, frozenset)):
        return ("set", frozenset(map(repr, map(exact, value))))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [exact(item) for item in value])
    return (type(value).__name__, value)


def outcome(source: str, name: str, box: Any) -> Any:
    """Run a line of Python about a container: what it returns or raises, and what is left."""
    scope = {**NAMES, name: box}
    try:
        try:
            code = compile(source, source, "eval")
        except SyntaxError:
            code = compile(source, source, "exec")
        result = ("returned", exact(eval(code, scope)))
    except Exception as error:
        kind = next(k for k in type(error).__mro__ if k.__module__ == "builtins")
        result = ("raised", kind, error.args if kind is KeyError else None)
    return result, exact(box), exact(scope[name])


def check_case(source: str, name: str, content: Any, builtin: Make, make: Make) -> None:
    """Compare a contender with the built-in type for one line of Python."""
    expected = outcome(source, name, builtin(copy.deepcopy(content)))
    got = outcome(source, name, make(content))

    assert got == expected


MEMBERS: dict[str, Any] = {
    "a": 1,
    "b": 2.5,
    "t": True,
    "n": None,
    "s": "text",
    "o": {"x": {"y": 1}, "z": []},
    "l": [1, [2], {"q": 3}],
    "": 0,
    "a.b[0]": "dotted",
    'é\n"': 7,
    "a\\b": -1,
    " lead": [0],
    "'\"": {"in": 1},
    "\U0001f600": "wide",
}

_ODD = [*MEMBERS, "missing", " ", "\\", "a'\"\\ b", "\x00", "$", "*", "..", "nul\x00", "0", "-1"]
_FOREIGN = ["1", "None", "1.5", "True", "b'a'", "object", "frozenset()", "()", "10**30"]
_UNHASHABLE = ["[]", "{}", "set()"]

MAPPING_CASES = [
    *[f"m[{key!r}]" for key in _ODD],
    *[f"m.get({key!r})" for key in _ODD],
    *[f"{key!r} in m" for key in _ODD],
    *[f"{key!r} in m.keys()" for key in _ODD],
    *[f"m[{key!r}] = 9" for key in _ODD],
    *[f"m[{key!r}] = [1, {{'k': None}}]" for key in _ODD],
    *[f"del m[{key!r}]" for key in _ODD],
    *[f"m.pop({key!r})" for key in _ODD],
    *[f"m.pop({key!r}, 'default')" for key in _ODD],
    *[f"m.setdefault({key!r}, {{'new': 1}})" for key in _ODD],
    *[f"m.update({{{key!r}: {{'u': [1]}}, 'z': 0}})" for key in _ODD],
    *[f"m.__ior__({{{key!r}: 1}})['a']" for key in _ODD],
    *[
        template.format(key)
        for key in _FOREIGN
        for template in (
            "m[{}]",
            "m.get({})",
            "m.get({}, 7)",
            "{} in m",
            "{} not in m",
            "{} in m.keys()",
            "del m[{}]",
            "m.pop({})",
            "m.pop({}, None)",
            "m.pop({}, 7)",
            "({}, 1) in m.items()",
        )
    ],
    *[
        template.format(key)
        for key in _UNHASHABLE
        for template in (
            "m[{}]",
            "m[{}] = 1",
            "m.get({})",
            "m.get({}, 7)",
            "{} in m",
            "{} in m.keys()",
            "del m[{}]",
            "m.pop({})",
            "m.pop({}, 7)",
            "m.setdefault({}, 1)",
            "({}, 1) in m.items()",
        )
    ],
    # reading
    "m['missing']",
    "m.get('missing')",
    "m.get('missing', [])",
    "m.get('n', 5)",
    "m.get()",
    "m.get('a', 1, 2)",
    "m.__getitem__()",
    "len(m)",
    "bool(m)",
    "not m",
    "sorted(m)",
    "sorted(list(m))",
    "sorted(iter(m))",
    "sorted(reversed(m))",
    "max(m)",
    "m['o']['x']['y']",
    "m['l'][2]['q']",
    "m['l'][0]",
    "m[Text('a')]",
    "Text('a') in m",
    "m.pop(Text('a'))",
    "m.__contains__('a')",
    "dict(m)",
    "{**m}",
    "dict(**m)",
    "(lambda **kw: kw)(**m)",
    "'%(a)s %(s)s' % m",
    "'{a} {s}'.format(**m)",
    "'{a} {s}'.format_map(m)",
    "OrderedDict(m) == m",
    "UserDict(m) == m",
    "m == UserDict(m)",
    "len(set(m))",
    "operator.itemgetter('a', 's')(m)",
    "operator.contains(m, 'a')",
    "json.loads(json.dumps(m, default=to_python))",
    # writing
    "m['a'] = 2",
    "m['new'] = None",
    "m['new'] = 'x'",
    "m['new'] = 1.0",
    "m['new'] = {}",
    "m['new'] = []",
    "m['new'] = m['o']",
    "m['o'] = m['o']",
    "m['o'] = m['o']['x']",
    "m['o'] = m['l']",
    "m['l'][0] = m['o']",
    "m['a'] += 1",
    "m['s'] += '!'",
    "m['l'] += [4, {'r': 5}]",
    "m['l'] *= 2",
    "m['l'][1:] = []",
    "m['o'] |= {'p': 1}",
    "m['o']['x'] |= [('p', 1)]",
    "m['o']['x']['y'] -= 1",
    "m['l'][1] += [3]",
    "m['l'][-1] |= {'q': 4}",
    "m[Text('a')] = 5",
    "m['a'], m['s'] = m['s'], m['a']",
    "del m['a'], m['s']",
    "del m['o']['x']['y']",
    "del m['l'][0]",
    "del m['missing']",
    "m.__setitem__('q', 1)",
    "m.__setitem__('q')",
    "m.__delitem__('a')",
    # pop, popitem, setdefault, clear
    "m.pop('missing')",
    "m.pop('missing', None)",
    "m.pop('n', 1)",
    "m.pop()",
    "m.pop('a', 1, 2)",
    "m.pop('o')['x']",
    "len([m.popitem() for _ in range(len(m))])",
    "sorted(key for key, _ in [m.popitem() for _ in range(len(m))])",
    "[m.popitem() for _ in range(len(m) + 1)]",
    "m.popitem(1)",
    "m.clear()",
    "m.clear() or m.popitem()",
    "m.clear(1)",
    "m.clear() or len(m)",
    "m.clear() or bool(m)",
    "m.setdefault('a')",
    "m.setdefault('n', 5)",
    "m.setdefault('new')",
    "m.setdefault('new', 5)",
    "m.setdefault('new', []).append(1)",
    "m.setdefault('l', []).append(1)",
    "m.setdefault('new', {})['k'] = 1",
    "m.setdefault('o', 1)['x']",
    "m.setdefault()",
    "m.setdefault('a', 1, 2)",
    # update and merging
    "m.update({'a': 5, 'new': [1]})",
    "m.update([('a', 5), ['new', {}]])",
    "m.update((k, 1) for k in 'xyz')",
    "m.update(['ab', 'cd'])",
    "m.update(a=5, self=1, other=2, key=3)",
    "m.update({'a': 5}, a=6)",
    "m.update([('a', 5), ('a', 6)])",
    "m.update(self=1)",
    "m.update(other=1)",
    "m.update(Keyed(a=5, z=6))",
    "m.update(Keyed(a=5, z=6), z=7)",
    "m.update(UserDict(a=5))",
    "m.update(OrderedDict(a=5))",
    "m.update(proxy({'a': 5}))",
    "m.update(ChainMap({'a': 5}, {'z': 1}))",
    "m.update(zip('xy', [1, 2]))",
    "m.update({Text('a'): 5})",
    "m.update(m)",
    "m.update(m['o'])",
    "m.update(m, a=3)",
    "m.update(m.items())",
    "m.update({'c1': m['o'], 'c2': m['l']})",
    "m.update(1)",
    "m.update(None)",
    "m.update([1])",
    "m.update([('a',)])",
    "m.update([('a', 1, 2)])",
    "m.update(['abc'])",
    "m.update('ab')",
    "m.update({}, {})",
    "m.update(Failing())",
    "m.update(Keyed)",
    "m | {'a': 5, 'new': 1}",
    "m | {}",
    "m | m",
    "m | m['o']",
    "m['o'] | m",
    "m['o'] | m['o']['x']",
    "m | OrderedDict(a=5)",
    "{'a': 5, 'new': 1} | m",
    "{1: 2} | m",
    "m | {1: 2}",
    "OrderedDict(a=5) | m == {**m}",
    "m | Taker()",
    "m | [('a', 1)]",
    "[('a', 1)] | m",
    "m | None",
    "None | m",
    "m | 1",
    "m |= {'a': 5, 'new': {'x': []}}",
    "m |= [('a', 5)]",
    "m |= Keyed(a=5)",
    "m |= m",
    "m |= 1",
    "m |= None",
    "m |= [1]",
    "m.__or__({'x': 1})['x']",
    "m.__or__(1)",
    "m.__ror__(1)",
    "ChainMap({}, m)['a']",
    "ChainMap({}, m)['o']['x']",
    "ChainMap(m, {})['missing']",
    "ChainMap(m, {'z': 1})['z']",
    "sorted(ChainMap({'z': 1}, m))",
    "ChainMap(m).update(z=1)",
    "copy.deepcopy(ChainMap({'z': 1}, m)).maps",
    "copy.copy(ChainMap(m)).maps",
    "pickle.loads(pickle.dumps(ChainMap({}, m))).maps",
    # comparison and hashing
    "m == m",
    "m != m",
    "m == dict(m)",
    "dict(m) == m",
    "m == m.copy()",
    "m.copy() == m",
    "m == {}",
    "{} != m",
    "m == None",
    "m != None",
    "m == []",
    "m == list(m.items())",
    "m == 1",
    "m == Taker()",
    "Taker() == m",
    "m['o'] == {'x': {'y': 1}, 'z': []}",
    "m['o'] == {'x': {'y': 1.0}, 'z': []}",
    "m['o'] == {'x': {'y': True}, 'z': []}",
    "m['o'] == {'x': {'y': 2}, 'z': []}",
    "m['o'] == {'x': {'y': 1}, 'z': ()}",
    "{'x': {'y': 1}, 'z': []} == m['o']",
    "{'k': m['o']} == {'k': {'x': {'y': 1}, 'z': []}}",
    "m['l'] == [1, [2], {'q': 3}]",
    "m['l'] == m['o']",
    "m < m",
    "m <= {}",
    "m > {}",
    "{} >= m",
    "hash(m)",
    "{m: 1}",
    "m + {}",
    "m & {}",
    "-m",
    "m()",
    "m.nothing",
    "iter(m) is iter(m)",
    # copies
    "m.copy()",
    "copy.copy(m)",
    "copy.deepcopy(m)",
    "copy.deepcopy([m, m])",
    "copy.deepcopy({'k': m})",
    "pickle.loads(pickle.dumps(m))",
    *[f"pickle.loads(pickle.dumps([m, 1], {protocol}))" for protocol in range(6)],
    "type(m.copy()) is dict",
    "m.copy().update(z=1)",
    "copy.deepcopy(m)['l'].append(1)",
    "m.fromkeys('ab')",
    "m.fromkeys('ab', 1)",
    "m.fromkeys(1)",
    "m.fromkeys()",
    "type(m).fromkeys('ab', [])",
    # views
    "len(m.keys()), len(m.values()), len(m.items())",
    "sorted(m.keys())",
    "sorted(map(repr, map(to_python, m.values())))",
    "sorted((k, repr(to_python(v))) for k, v in m.items())",
    "dict(m.items())",
    "dict(zip(m.keys(), m.values()))",
    "sorted(reversed(m.keys()))",
    "dict(reversed(m.items()))",
    "len(list(reversed(m.values())))",
    "'a' in m.keys()",
    "'x' in m.keys()",
    "1 in m.values()",
    "1.0 in m.values()",
    "99 in m.values()",
    "None in m.values()",
    "'text' in m.values()",
    "[1, [2], {'q': 3}] in m.values()",
    "(1, [2], {'q': 3}) in m.values()",
    "{'x': {'y': 1}, 'z': []} in m.values()",
    "object() in m.values()",
    "{1} in m.values()",
    "('a', 1) in m.items()",
    "('a', 1.0) in m.items()",
    "('a', True) in m.items()",
    "('a', 2) in m.items()",
    "('x', 1) in m.items()",
    "['a', 1] in m.items()",
    "('a',) in m.items()",
    "'a' in m.items()",
    "(('a', 1), 2) in m.items()",
    "('o', {'x': {'y': 1}, 'z': []}) in m.items()",
    "('n', None) in m.items()",
    "('missing', None) in m.items()",
    "m.keys() == set(m)",
    "set(m) == m.keys()",
    "m.keys() == m.keys()",
    "m.keys() == m.copy().keys()",
    "m.copy().keys() == m.keys()",
    "m.keys() != {'a'}",
    "m.keys() == list(m)",
    "m.keys() == 1",
    "m.items() == m.items()",
    "m.items() == m.copy().items()",
    "m.copy().items() == m.items()",
    "m['o']['x'].items() == m['o']['x'].keys()",
    "m['o']['x'].keys() == m['o']['x'].items()",
    "m.items() != m.copy().items()",
    "m['o']['x'].items() == {('y', 1)}",
    "{('y', 1)} == m['o']['x'].items()",
    "m['o']['x'].items() == [('y', 1)]",
    "m.values() == m.values()",
    "m.keys() & {'a', 'x'}",
    "m.keys() & ['a', 'x']",
    "m.keys() & m.keys()",
    "m.keys() & m['o'].keys()",
    "m.keys() & 'ab'",
    "m.keys() & {1, 'a'}",
    "m.keys() & 1",
    "m.keys() & [[]]",
    "{'a', 'x'} & m.keys()",
    "['a', 'x'] & m.keys()",
    "1 & m.keys()",
    "m.keys() | {'x'}",
    "m.keys() | iter('xy')",
    "m.keys() | 1",
    "{'x'} | m.keys()",
    "['x'] | m.keys()",
    "m.keys() - {'a'}",
    "m.keys() - iter(['a'])",
    "m.keys() - m.keys()",
    "m.keys() - 1",
    "{'a', 'x'} - m.keys()",
    "['a', 'x'] - m.keys()",
    "m.keys() ^ {'a', 'x'}",
    "m.keys() ^ ['a', 'x']",
    "{'a', 'x'} ^ m.keys()",
    "['a', 'x'] ^ m.keys()",
    "m.keys() ^ 1",
    "type(m.keys() & 'a') is set",
    "m.keys() <= set(m)",
    "m.keys() < set(m)",
    "m.keys() >= {'a'}",
    "m.keys() > {'a'}",
    "{'a'} <= m.keys()",
    "{'a'} < m.keys()",
    "set(m) >= m.keys()",
    "set(m) > m.keys()",
    "frozenset('a') <= m.keys()",
    "m.keys() <= m.keys()",
    "m.keys() < m.keys()",
    "m.keys() <= ['a']",
    "m.keys() < 1",
    "m.keys() >= 'a'",
    "m.keys().isdisjoint({'x'})",
    "m.keys().isdisjoint(['a'])",
    "m.keys().isdisjoint(m.keys())",
    "m.keys().isdisjoint(1)",
    "m['o']['x'].keys().isdisjoint(iter('ab'))",
    "m.items() & {('a', 1), ('a', 2)}",
    "m.items() & [('a', 1.0)]",
    "m['o']['x'].items() | {('z', 2)}",
    "m['o']['x'].items() - {('y', 1)}",
    "m['o']['x'].items() ^ {('z', 2)}",
    "{('y', 1), ('z', 2)} - m['o']['x'].items()",
    "{('y', 1), ('z', 2)} & m['o']['x'].items()",
    "m['o']['x'].items() <= {('y', 1), ('z', 2)}",
    "m['o']['x'].items() > {('y', 1), ('z', 2)}",
    "{('y', 1), ('z', 2)} > m['o']['x'].items()",
    "m['o']['x'].items().isdisjoint({('y', 2)})",
    "m['o']['x'].items().isdisjoint([('y', 1)])",
    "m.items() | set()",
    "m.items() - set()",
    "m.items() ^ set()",
    "m.items() <= m.items()",
    "m.items() >= {('a', 1)}",
    "m.items().isdisjoint([('a', 1)])",
    "hash(m.keys())",
    "hash(m.items())",
    "isinstance(hash(m.values()), int)",
    "m.keys()[0]",
    "m.values() + m.values()",
    "m.values() & m.values()",
    "m.keys().mapping['a']",
    "m.keys().mapping == m",
    "m.items().mapping == m",
    "m.values().mapping == m",
    "m.keys().mapping.__class__.__contains__(m.keys().mapping, 'a')",
    "(v := m.keys(), m.update(zz=1), 'zz' in v, len(v))[2:]",
    "(v := m.values(), m.update(zz=88), 88 in v, len(v))[2:]",
    "(v := m.items(), m.update(zz=88), ('zz', 88) in v, len(v))[2:]",
    "(v := m.items(), m.clear(), list(v))[2]",
    "copy.copy(m).keys() == m.keys()",
]

ELEMENTS: list[Any] = [1, "two", 3.5, None, True, [4, [5]], {"six": 6}, 1.0, 0, "two", {}, []]

_SPOTS = ["0", "5", "11", "-1", "-12", "True", "False", "Index(2)", "Index(-2)"]
_OUTSIDE = ["12", "-13", "99", "2**31", "2**53", "2**63", "-2**63", "2**70", "-2**70"]
_NO_INDEX = ["'0'", "1.0", "None", "()", "(0,)", "(0, 1)", "[]", "b''", "Decimal(1)", "Text('1')"]
_LOOKED_FOR = [
    "1",
    "1.0",
    "True",
    "False",
    "0",
    "-0.0",
    "0.0",
    "3.5",
    "None",
    "'two'",
    "'three'",
    "''",
    "Text('two')",
    "[4, [5]]",
    "[4, [5.0]]",
    "(4, [5])",
    "[]",
    "()",
    "{}",
    "{'six': 6}",
    "{'six': 6.0}",
    "{'six': True}",
    "UserDict(six=6)",
    "UserList([4, [5]])",
    "Decimal(1)",
    "Decimal('3.5')",
    "Fraction(7, 2)",
    "1 + 0j",
    "float('nan')",
    "float('inf')",
    "10**400",
    "2**64",
    "b'two'",
    "object",
    "Taker()",
    "{1}",
    "range(1)",
    "a",
    "a[5]",
    "a[6]",
    "a[5][1]",
]

SEQUENCE_CASES = [
    *[
        template.format(spot)
        for spot in _SPOTS + _OUTSIDE + _NO_INDEX
        for template in ("a[{}]", "a[{}] = 9", "a[{}] = {{'n': [1]}}", "del a[{}]")
    ],
    *[f"a.pop({spot})" for spot in _SPOTS + _OUTSIDE[:5] + _NO_INDEX],
    *[f"a.insert({spot}, 'new')" for spot in _SPOTS + _OUTSIDE[:5] + _NO_INDEX],
    *[
        template.format(value)
        for value in _LOOKED_FOR
        for template in (
            "{} in a",
            "a.index({})",
            "a.count({})",
            "a.remove({})",
            "a.index({}, 3)",
            "a.index({}, -3)",
            "a.index({}, 1, -1)",
            "a.index({}, 5, 3)",
        )
    ],
    *[
        template.format(part)
        for part in ("'0':", ":1.0", "::None", "::0", "::1.5", ":'':", "[]:", "1:2:'3'", ":2**70:0")
        for template in ("a[{}]", "a[{}] = []", "del a[{}]")
    ],
    *[
        template.format(part)
        for part in (
            "2**70:",
            ":2**70",
            "-2**70:2**70",
            "::2**70",
            "::-2**70",
            "2**63:2**64",
            "Index(1):Index(3)",
            "::Index(-1)",
            "False:True",
            ":True",
            "None:None",
            "None:None:None",
        )
        for template in ("a[{}]", "a[{}] = [9]", "del a[{}]", "a[{}] = []")
    ],
    *[
        f"a[{part}] = {value}"
        for part in (":", "1:3", "3:1", "5:", ":-2", "12:", "99:", "::2", "::-1", "1:4:2", "::1")
        for value in (
            "[9, {'n': 1}]",
            "(8, 9)",
            "'xy'",
            "range(6)",
            "{'k': 1, 'j': 2}",
            "iter([7, 8])",
            "(x for x in [7, 8, 9])",
            "a",
            "a[5]",
            "a[6]",
            "a[::-1]",
            "[]",
            "UserList([1, 2])",
            "deque([1, 2])",
            "{1: 2}.values()",
            "1",
            "None",
            "Failing()",
        )
    ],
    # reading
    "len(a)",
    "bool(a)",
    "not a",
    "list(a)",
    "tuple(a)",
    "[*a]",
    "list(iter(a))",
    "list(reversed(a))",
    "list(enumerate(a))",
    "list(zip(a, a))",
    "list(islice(a, 2, 5))",
    "a[5][1][0]",
    "a[6]['six']",
    "a[-6]['six']",
    "a[5:7]",
    "a[6:7][0]['six']",
    "(lambda *args: args)(*a)",
    "next(iter(a))",
    "operator.itemgetter(0, -1)(a)",
    "operator.indexOf(a, 'two')",
    "operator.countOf(a, 1)",
    "operator.concat(a, [1])",
    "operator.length_hint(a)",
    "sum(a[:1])",
    "json.loads(json.dumps(a, default=to_python))",
    # growing and shrinking
    "a.append(9)",
    "a.append([9])",
    "a.append({'n': None})",
    "a.append(None)",
    "a.append('x')",
    "a.append(a[5])",
    "a.append()",
    "a.extend([8, {'n': 9}])",
    "a.extend([])",
    "a.extend('xy')",
    "a.extend((1, 2))",
    "a.extend(range(3))",
    "a.extend(x for x in 'ab')",
    "a.extend({'k': 1})",
    "a.extend({'k': 1}.items())",
    "a.extend(a)",
    "a.extend(a[5])",
    "a.extend(a[6])",
    "a.extend(reversed(a))",
    "a.extend(UserList([1]))",
    "a.extend(deque([1]))",
    "a.extend(None)",
    "a.extend(1)",
    "a.extend()",
    "a.extend([1], [2])",
    "a.extend(Failing())",
    "a.insert(0, {'n': 1})",
    "a.insert(3, [1])",
    "a.insert(-3, None)",
    "a.insert(12, 1)",
    "a.insert(13, 1)",
    "a.insert(-13, 1)",
    "a.insert(2, a[5])",
    "a.insert(1)",
    "a.insert()",
    "a.pop()",
    "a.pop(5)[1]",
    "a.pop(0, 1)",
    "[a.pop() for _ in range(12)]",
    "[a.pop(0) for _ in range(13)]",
    "a.clear()",
    "a.clear() or a.pop()",
    "a.clear() or a[0]",
    "a.clear() or bool(a)",
    "a.clear() or a.insert(5, 1)",
    "a.clear(1)",
    "a.remove()",
    "a.remove('two') or a.remove('two') or a.remove('two')",
    "del a[0], a[0], a[-1]",
    "a[5].append(6)",
    "a[5][1] += [6]",
    "a[-7][-1] += [6]",
    "a[-1] += [6]",
    "a[6] |= {'s': 1}",
    "a[6]['six'] += 1",
    "a[0] += 1",
    "a[0], a[1] = a[1], a[0]",
    "a[5] = a[6]",
    "a[5] = a[5]",
    "a[-1] = a[-1]",
    "a[5] = a[5][1]",
    "del a[5][0]",
    "a.index()",
    "a.index(1, 2, 3, 4)",
    "a.index(1, None)",
    "a.index(1, '0')",
    "a.index(1, 1.0)",
    "a.index(1, 0, None)",
    "a.index(1, Index(1))",
    "a.index(1, Index(1), Index(9))",
    "a.index(1, True)",
    "a.index(1, -2**70)",
    "a.index(1, 2**70)",
    "a.index(1, 0, 2**70)",
    "a.index(1, 0, -2**70)",
    "a.index(1, 0, 0)",
    "a.index('two', 2)",
    "a.index('two', 2, 9)",
    "a.index('two', -3, -2)",
    "a.count()",
    # operators
    "a + [1]",
    "a + []",
    "a + a",
    "a + a[5]",
    "a[5] + a",
    "[1] + a",
    "[] + a",
    "a + (1,)",
    "(1,) + a",
    "a + 'x'",
    "'x' + a",
    "a + None",
    "None + a",
    "a + 1",
    "a + range(2)",
    "a + {}",
    "a + UserList([1])",
    "UserList([1]) + a",
    "a + iter([1])",
    "a + Taker()",
    "a - [1]",
    "sum([[0], a, [1]], [])",
    "a += [1, {'n': 2}]",
    "a += (1,)",
    "a += 'xy'",
    "a += range(2)",
    "a += (x for x in 'ab')",
    "a += a",
    "a += a[5]",
    "a += a[6]",
    "a += []",
    "a += {'k': 1}",
    "a += None",
    "a += 1",
    "a * 2",
    "a * 0",
    "a * -1",
    "a * True",
    "a * Index(2)",
    "2 * a",
    "0 * a",
    "True * a",
    "Index(2) * a",
    "a * 1.0",
    "a * 'x'",
    "a * None",
    "a * a",
    "a * [1]",
    "[1] * a",
    "1.0 * a",
    "a *= 2",
    "a *= 1",
    "a *= 0",
    "a *= -1",
    "a *= True",
    "a *= Index(3)",
    "a *= 1.0",
    "a *= 'x'",
    "a *= a",
    "a *= None",
    # comparison
    "a == a",
    "a != a",
    "a == list(a)",
    "list(a) == a",
    "a == a.copy()",
    "a == tuple(a)",
    "tuple(a) == a",
    "a == []",
    "a == None",
    "a == {}",
    "a == 'x'",
    "a == range(1)",
    "a == UserList(a)",
    "UserList(a) == a",
    "a == Taker()",
    "a == deque(a)",
    "a[5] == [4, [5]]",
    "a[5] == [4.0, [5]]",
    "a[5] == [4, (5,)]",
    "a[5] < [4, [6]]",
    "a[5] <= [4, [5]]",
    "a[5] > [4]",
    "a[5] >= [5]",
    "[4, [6]] > a[5]",
    "[4] < a[5]",
    "[5] <= a[5]",
    "[4, [5]] >= a[5]",
    "a[5] < a[5]",
    "a[5] <= a[5]",
    "a[5] < a",
    "a[5] < ['x']",
    "a < [1, 'three']",
    "a < [1, 'two', 'x']",
    "a < (1,)",
    "(1,) < a",
    "a <= None",
    "a > 1",
    "a >= 'x'",
    "a < {}",
    "hash(a)",
    "{a}",
    # order and copies
    "a.reverse()",
    "a.reverse(1)",
    "a.sort()",
    "a.sort(key=repr)",
    "a.sort(key=str, reverse=True)",
    "a.sort(key=lambda x: 0)",
    "a.sort(key=lambda x: 0, reverse=True)",
    "a.sort(reverse=1, key=str)",
    "a.sort(str)",
    "a.sort(key=1)",
    "a.sort(key=lambda x: 1 / 0)",
    "a.sort(cmp=None)",
    "a[5].sort(key=str)",
    "a[5].reverse()",
    "sorted(a, key=str)",
    "a.copy()",
    "a.copy(1)",
    "copy.copy(a)",
    "copy.deepcopy(a)",
    "copy.deepcopy((a, {'k': a}))",
    "type(a.copy()) is list",
    "a.copy().append(1)",
    *[f"pickle.loads(pickle.dumps([a, 1], {protocol}))" for protocol in range(6)],
    "a()",
    "a.nothing",
]


@mapping
def check_mapping_is_a_mutable_mapping(make: Make) -> None:
    assert isinstance(make({}), (MutableMapping, Reversible, Sized))
    assert isinstance(make({}), MutableMapping)
    assert not isinstance(make({}), Sequence)


@mapping
def check_empty_mapping_is_false(make: Make) -> None:
    box = make({})

    assert not box
    assert len(box) == 0
    assert list(box) == list(reversed(box)) == []
    assert list(box.keys()) == list(box.values()) == list(box.items()) == []
    assert box == {}
    assert repr(box) == "{}"


@mapping
def check_repr_of_one_member_is_dicts(make: Make) -> None:
    box = make({"a": [1, {"b": None}]})

    assert repr(box) == str(box) == f"{box}" == "{'a': [1, {'b': None}]}"
    assert repr(box.keys()) == "dict_keys(['a'])"
    assert repr(box.values()) == "dict_values([[1, {'b': None}]])"
    assert repr(box.items()) == "dict_items([('a', [1, {'b': None}])])"


@mapping
def check_missing_key_is_named(make: Make) -> None:
    box = make({"a": 1})
    for key in ("b", "", " x", "a\\", "a.b", 1, None, 2.5, b"a", frozenset()):
        for verb in (operator.getitem, operator.delitem, lambda m, k: m.pop(k)):
            with pytest.raises(KeyError) as caught:
                verb(box, key)

            assert caught.value.args == (key,)
            assert type(caught.value) is KeyError


@mapping
def check_popitem_empties(make: Make) -> None:
    content = {"a": 1, "b": [1], "c": {"d": 2}, " e": None, "\\": 0, "'\"": 1}
    box = make(content)
    taken = dict(to_python(box.popitem()) for _ in content)

    assert taken == content
    assert not box
    with pytest.raises(KeyError) as caught:
        box.popitem()
    assert caught.value.args == ("popitem(): dictionary is empty",)


@mapping
def check_iterator_ends_for_good(make: Make) -> None:
    iterator = iter(make({"a": 1}))

    assert iter(iterator) is iterator
    assert next(iterator) == "a"
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(iterator)


@mapping
def check_views_are_the_abcs(make: Make) -> None:
    box = make({"a": 1})

    assert isinstance(box.keys(), collections.abc.KeysView)
    assert isinstance(box.values(), collections.abc.ValuesView)
    assert isinstance(box.items(), collections.abc.ItemsView)
    assert isinstance(box.keys(), collections.abc.Set)
    assert isinstance(box.items(), collections.abc.Set)
    assert not isinstance(box.values(), collections.abc.Set)


@mapping
def check_views_follow_the_mapping(make: Make) -> None:
    box = make({"a": 1})
    keys, values, items = box.keys(), box.values(), box.items()
    box["b"] = 2
    del box["a"]

    assert list(keys) == ["b"]
    assert list(values) == [2]
    assert list(items) == [("b", 2)]
    assert (len(keys), len(values), len(items)) == (1, 1, 1)


@mapping
def check_match_statement_takes_members(make: Make) -> None:
    match make({"kind": "point", "at": {"x": 1, "y": [2, 3]}, "more": None}):
        case {"kind": "line"}:
            seen: Any = "wrong"
        case {"kind": "point", "at": {"x": x, "y": [2, last]}, **rest}:
            seen = x, last, rest
        case _:
            seen = "none"

    assert seen == (1, 3, {"more": None})


@mapping
def check_match_statement_is_no_sequence(make: Make) -> None:
    match make({"a": 1}):
        case [*_]:
            seen = "sequence"
        case {"b": _}:
            seen = "wrong member"
        case {}:
            seen = "mapping"
        case _:
            seen = "nothing"

    assert seen == "mapping"


@mapping
def check_update_takes_raising_keys(make: Make) -> None:
    class NoKeys:
        def keys(self) -> Any:
            raise ZeroDivisionError

    class NoItem(NoKeys):
        def keys(self) -> Any:
            return iter(["a"])

        def __getitem__(self, name: str) -> Any:
            raise ZeroDivisionError

    box = make({"a": 1})
    for other in (NoKeys(), NoItem()):
        with pytest.raises(ZeroDivisionError):
            box.update(other)

    assert box == {"a": 1}


@mapping
def check_default_is_returned_as_it_is(make: Make) -> None:
    box = make({"a": 1})
    default = object()

    assert box.get("b", default) is default
    assert box.get(1, default) is default
    assert box.pop("b", default) is default
    assert box.pop(1, default) is default
    assert box.get("a", default) == 1


@mapping
def check_values_keep_their_type(make: Make) -> None:
    values = [0, -0.0, 0.0, 1, 1.0, True, False, None, "", "0", [], {}, 2**63 - 1, -(2**63)]
    values += [2**64 - 1, 0.1, 1e300, 5e-324, 1e-7, 123456789.123456789, "é\x00\ud7ff", "null"]
    box = make({str(number): value for number, value in enumerate(values)})
    for number, value in enumerate(values):
        got = to_python(box[str(number)])

        assert repr(got) == repr(value)
        assert type(got) is type(value)


@mapping
def check_many_members_iterate_once(make: Make) -> None:
    content = {f"k{number}": [number] if number % 3 else number for number in range(2_345)}
    box = make(content)

    assert len(box) == len(box.keys()) == len(content)
    assert sorted(box) == sorted(content)
    assert {name: to_python(value) for name, value in islice_all(box.items())} == content
    assert sum(1 for _ in box.values()) == len(content)
    assert box == content


@ordered
def check_order_is_insertion(make: Make) -> None:
    box = make({"z": 1, "a": 2, "": 3, " s": 4, "\\": 5, "'\"": [6]})
    box["z"] = [0]
    box["m"] = 7
    box.update(a=8, n=9)
    names = ["z", "a", "", " s", "\\", "'\"", "m", "n"]

    assert list(box) == list(box.keys()) == [name for name, _ in box.items()] == names
    assert list(reversed(box)) == list(reversed(box.keys())) == names[::-1]
    assert [name for name, _ in reversed(box.items())] == names[::-1]
    assert to_python(list(box.values())) == [[0], 8, 3, 4, 5, [6], 7, 9]
    assert to_python(list(reversed(box.values()))) == [[0], 8, 3, 4, 5, [6], 7, 9][::-1]
    assert list(box.copy()) == list(copy.deepcopy(box)) == list({**box}) == names
    assert list(pickle.loads(pickle.dumps(box))) == names


@ordered
def check_popitem_takes_the_last(make: Make) -> None:
    for names in (["z", "a", "m"], ["a", " s"], ["z", "\\"], ["\\", "'\""], ["'\"", " s", ""]):
        box = make({name: [number] for number, name in enumerate(names)})
        taken = [box.popitem() for _ in names]

        assert taken == [(name, [n]) for n, name in list(enumerate(names))[::-1]]


@ordered
def check_union_keeps_order(make: Make) -> None:
    box = make({"z": 1, "a": 2})

    assert list(box | {"a": 0, "b": 0}) == ["z", "a", "b"]
    assert list({"b": 0, "a": 0} | box) == ["b", "a", "z"]
    box |= {"b": 0, "z": 0}
    assert list(box) == ["z", "a", "b"]


@ordered
def check_repr_is_dicts(make: Make) -> None:
    box = make(MEMBERS)

    assert repr(box) == repr(MEMBERS)
    assert repr(box.keys()) == repr(MEMBERS.keys())
    assert repr(box.values()) == repr(MEMBERS.values())
    assert repr(box.items()) == repr(MEMBERS.items())


@ordered
def check_last_member_deleted_keeps_order(make: Make) -> None:
    box = make({"z": 1, "a": 2, "m": 3})
    del box["m"]
    box["m"] = 4

    assert list(box.items()) == [("z", 1), ("a", 2), ("m", 4)]


@sequence
def check_sequence_is_a_mutable_sequence(make: Make) -> None:
    box = make([])

    assert isinstance(box, MutableSequence)
    assert not isinstance(box, Mapping)


@sequence
def check_empty_sequence_is_false(make: Make) -> None:
    box = make([])

    assert not box
    assert len(box) == 0
    assert list(box) == list(reversed(box)) == []
    assert box == []
    assert box[:] == box[::-1] == box[5:] == []
    assert repr(box) == "[]"
    assert None not in box
    with pytest.raises(IndexError):
        box.pop()
    with pytest.raises(IndexError):
        box[-1]
    with pytest.raises(ValueError):
        box.index(1)


@sequence
def check_repr_is_lists(make: Make) -> None:
    box = make(ELEMENTS)

    assert repr(box) == str(box) == f"{box}" == repr(ELEMENTS)


@sequence
def check_every_slice_reads_as_lists(make: Make) -> None:
    for size in range(7):
        content = [number if number % 2 else [number] for number in range(size)]
        box = make(content)
        for part in slices():
            assert (part, box[part]) == (part, content[part])


@sequence
def check_mutators_return_none(make: Make) -> None:
    box = make([3, 1, 2])

    assert box.append(1) is None
    assert box.extend([1]) is None
    assert box.insert(0, 1) is None
    assert box.remove(1) is None
    assert box.reverse() is None
    assert box.sort() is None
    assert box.clear() is None


@sequence
def check_sort_is_stable(make: Make) -> None:
    content = [[number % 3, number] for number in range(20)]
    for reverse in (False, True):
        expected = content.copy()
        expected.sort(key=operator.itemgetter(0), reverse=reverse)
        box = make(content)
        box.sort(key=operator.itemgetter(0), reverse=reverse)

        assert box == expected


@sequence
def check_sort_that_fails_keeps_elements(make: Make) -> None:
    box = make([3, "a", 1])
    with pytest.raises(TypeError):
        box.sort()

    assert sorted(map(str, box)) == ["1", "3", "a"]


@sequence
def check_sort_takes_numbers_and_text(make: Make) -> None:
    box = make([3, 1.5, True, -1])
    box.sort()
    assert [repr(item) for item in box] == ["-1", "True", "1.5", "3"]
    box.sort(reverse=True)
    assert [repr(item) for item in box] == ["3", "1.5", "True", "-1"]

    texts = make(["b", "A", "é", "a"])
    texts.sort()
    assert texts == ["A", "a", "b", "é"]
    texts.sort(key=str.lower, reverse=True)
    assert texts == ["é", "b", "A", "a"]


@sequence
def check_insert_clamps(make: Make) -> None:
    for position in range(-7, 8):
        content = [0, 1, 2, 3]
        box = make(content)
        content.insert(position, [9])
        box.insert(position, [9])

        assert (position, box.copy()) == (position, content)


@sequence
def check_index_takes_every_window(make: Make) -> None:
    content = [0, 1, 0, True, 0.0, "0"]
    box = make(content)
    for start, stop in itertools.product(range(-8, 9), repeat=2):
        for value in (0, 1, False, "0"):
            assert (start, stop, value, found(box, value, start, stop)) == (
                start,
                stop,
                value,
                found(content, value, start, stop),
            )


@sequence
def check_every_index_reads_writes_and_deletes(make: Make) -> None:
    for size in range(4):
        for index in range(-5, 6):
            for source in (f"a[{index}]", f"a[{index}] = 9", f"del a[{index}]", f"a.pop({index})"):
                check_case(source, "a", list(range(size)), list, make)


@sequence
def check_iterators_end_for_good(make: Make) -> None:
    iterator = iter(make([1]))

    assert iter(iterator) is iterator
    assert next(iterator) == 1
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(iterator)


@sequence
def check_iterating_sees_what_was_appended(make: Make) -> None:
    box = make([1, 2])
    forwards = iter(box)
    box.append(3)

    assert list(box) == list(forwards) == [1, 2, 3]


@sequence
def check_unpacking(make: Make) -> None:
    first, *middle, last = make([1, 2, [3], {"four": 4}])

    assert first == 1
    assert to_python(middle) == [2, [3]]
    assert last == {"four": 4}
    with pytest.raises(ValueError):
        _, _ = make([1])


@sequence
def check_match_statement_takes_elements(make: Make) -> None:
    match make(["move", [1, 2], {"fast": True}]):
        case {**_members}:
            seen: Any = "mapping"
        case ["stop", *_]:
            seen = "wrong"
        case ["move", [x, y], {"fast": fast}, *rest]:
            seen = x, y, fast, rest
        case _:
            seen = "none"

    assert seen == (1, 2, True, [])


@sequence
def check_comparison_is_lexicographic(make: Make) -> None:
    contents: list[list[Any]] = [[], [0], [0, 1], [1], [0, [1]], [0, [1, 2]], [True], [0.0, 1]]
    for left, right in itertools.product(contents, repeat=2):
        for compare in (
            operator.eq,
            operator.ne,
            operator.lt,
            operator.le,
            operator.gt,
            operator.ge,
        ):
            expected = answer(compare, left, right)

            assert answer(compare, make(left), right) == expected
            assert answer(compare, left, make(right)) == expected
            assert answer(compare, make(left), make(right)) == expected


@sequence
def check_numbers_equal_as_in_python(make: Make) -> None:
    numbers = [0, 0.0, -0.0, False, 1, 1.0, True, 2**53, 2.0**53, 2**53 + 1, 2**64 - 1, 2.0**64]
    numbers += [-(2**63), -(2.0**63), 0.1, 1 / 3, 1e22, 10**18, 1e300, -1, -1.0, 2, 100.0, 1e18]
    for value in [*numbers, 10**22, 2**64, 2**63 + 1, 2**53 - 1, Decimal("0.1"), Fraction(1, 3)]:
        box = make(numbers)

        assert (value, value in box) == (value, value in numbers)
        assert (value, box.count(value)) == (value, numbers.count(value))
        assert (value, found(box, value)) == (value, found(numbers, value))
        if value in numbers:
            rest = numbers.copy()
            rest.remove(value)
            box.remove(value)
            assert [repr(item) for item in box] == [repr(item) for item in rest]


@sequence
def check_many_elements(make: Make) -> None:
    content = [[number] if number % 5 == 0 else number for number in range(2_500)]
    box = make(content)

    assert len(box) == 2_500
    assert to_python(list(box)) == content
    assert to_python(list(reversed(box))) == content[::-1]
    for size in (1_000, 2_000):
        exact_page = make(content[:size])
        assert to_python(list(exact_page)) == content[:size]
        assert to_python(list(reversed(exact_page))) == content[:size][::-1]
    for part in (slice(10, 1_010), slice(10, 1_011), slice(5, 2_000, 3), slice(None, None, -7)):
        rest, box = content.copy(), make(content)
        del rest[part]
        del box[part]
        assert box == rest
    rest, box = content.copy(), make(content)
    rest[700:2_000] = rest[1:9]
    box[700:2_000] = content[1:9]
    assert box == rest
    box.extend(content)
    assert box == rest + content


def slices(low: int = -7, high: int = 7) -> Iterator[slice]:
    """Every slice with ends and step from low to high, or not given."""
    ends = [None, *range(low, high + 1)]
    for start, stop, step in itertools.product(ends, ends, ends):
        if step != 0:
            yield slice(start, stop, step)


def distinct_slices(size: int) -> Iterator[slice]:
    """Every slice of those, but of any that mean the same for a size only the first few."""
    seen: collections.Counter[Any] = collections.Counter()
    for part in slices():
        same = (part.indices(size), part.step is None, part.stop is None)
        seen[same] += 1
        if seen[same] <= 1:
            yield part


def found(box: Any, *args: Any) -> Any:
    """Return what index() finds, or None."""
    try:
        return box.index(*args)
    except ValueError:
        return None


def answer(compare: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Return what a comparison says, or that it refuses."""
    try:
        return compare(left, right)
    except TypeError:
        return TypeError


def islice_all(items: Iterable[Any]) -> Iterator[Any]:
    """Iterate by next() alone."""
    iterator = iter(items)
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            return

"""Who may import whom: rows of rooms, the purest on top."""

import ast
from pathlib import Path

import pytest

import redisjson_dict

PACKAGE = Path(redisjson_dict.__file__).parent
NAME = "redisjson_dict"

ROWS = [
    {"errors"},
    {"floats", "pieces", "resp"},
    {"location", "codec", "jsonpath", "scripts", "expiry", "urls"},
    {"replies", "keys", "loans", "preview"},
    {"operations", "keyspace", "exchange", "layout"},
    {"verbs", "html"},
    {"toplevel", "queue"},
    {"refusals"},
    {"flows"},
    {"settlement"},
    {"execute"},
    {"views", "display"},
    {"containers", "references"},
    {"pipeline"},
    {"mapping", "asyncio", "server"},
    {"testing", "migration"},
    {"cli"},
    {"", "__main__"},
]
INNER = {  # packages with rows of their own, which may use their neighbours above
    "migration": [
        {"items", "conversion", "report"},
        {"tagged", "pickles"},
        {"stores", "files"},
        {"carrying"},
    ],
    "cli": [
        {"checks", "console", "outline", "usage"},
        {"ending", "jsonl", "progress", "session"},
        {"contents", "failures", "migrate", "rights", "steps", "storing"},
        {"editing", "importing", "listing", "serving", "tree", "watching"},
        {"doctor", "exporting"},
        {"app"},
    ],
}
ROW_OF = {room: number for number, row in enumerate(ROWS) for room in row}
TALKERS = {
    "loans",
    "exchange",
    "refusals",
    "flows",
    "execute",
    "display",
    "mapping",
    "asyncio",
    "server",
    "testing",
    "migration",
    "cli",
}  # who may import redis when running


def module_of(path):
    """The dotted name of a file inside the package; "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def nodes(tree):
    """All nodes that are met at run time."""
    for node in ast.iter_child_nodes(tree):
        if is_for_types(node):
            for other in node.orelse:
                yield other
                yield from nodes(other)
        else:
            yield node
            yield from nodes(node)


def imports(module):
    """The full dotted names that a module imports at run time, at any depth of its code."""
    for node in nodes(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}".removeprefix(f"{NAME}.")
                yield f"{NAME}.{inner}" if inner in FILES else node.module


def own_imports(module):
    """What a module imports of this package, by names inside it."""
    for name in imports(module):
        if name.partition(".")[0] == NAME:
            yield name.removeprefix(NAME).removeprefix(".")


def room(module):
    return module.partition(".")[0]


def row(module):
    return ROW_OF.get(room(module), len(ROWS))


def test_every_room_has_its_row():
    assert {room(module) for module in FILES} == set(ROW_OF)


def test_no_room_is_in_two_rows():
    assert sum(map(len, ROWS)) == len(ROW_OF)


@pytest.mark.parametrize("module", FILES, ids=lambda module: module or NAME)
def test_imports_come_from_rows_above(module):
    below = [
        other
        for other in own_imports(module)
        if room(other) != room(module) and row(other) >= row(module)
    ]

    assert below == []


@pytest.mark.parametrize("module", [module for module in FILES if "." in module])
def test_neighbours_share_their_init_only(module):
    neighbours = {other for other in own_imports(module) if room(other) == room(module)}
    above = set()
    for inner in INNER.get(room(module), []):
        if module.partition(".")[2] in inner:
            neighbours -= above
        above |= {f"{room(module)}.{name}" for name in inner}

    assert neighbours <= {room(module)}


@pytest.mark.parametrize("package", ["operations", "scripts", "cli"])
def test_init_imports_none_of_its_modules(package):
    assert not [other for other in own_imports(package) if room(other) == package]


@pytest.mark.parametrize("module", FILES, ids=lambda module: module or NAME)
def test_redis_enters_where_it_may(module):
    uses = any(name.partition(".")[0] == "redis" for name in imports(module))

    assert not uses or room(module) in TALKERS


@pytest.mark.parametrize("name", ["rich", "typer"])
def test_command_line_alone_imports(name):
    users = {room(m) for m in FILES if any(i.partition(".")[0] == name for i in imports(m))}

    assert users == {"cli"}


@pytest.mark.parametrize("name", ["numpy", "IPython", "jinja2", "hiredis", "pytest"])
def test_nobody_imports(name):
    users = [m for m in FILES if any(i.partition(".")[0] == name for i in imports(m))]

    assert users == []


PURE = [
    module
    for module in FILES
    if row(module) <= ROW_OF["verbs"] and room(module) not in {"loans", "exchange", "expiry"}
]


@pytest.mark.parametrize("module", PURE)
def test_pure_rooms_know_no_clock_and_no_socket(module):
    used = {name.partition(".")[0] for name in imports(module)}

    if module == "codec":
        used.remove("threading")  # it asks whether others may change a value meanwhile

    assert used.isdisjoint({"asyncio", "random", "select", "socket", "threading", "time"})


def test_references_know_nothing_of_containers():
    assert "containers" not in {room(other) for other in own_imports("references")}


def test_imports_for_types_do_not_count():
    assert "execute" not in set(own_imports("references"))
    assert "if TYPE_CHECKING" in FILES["references"].read_text(encoding="utf-8")

"""Documentation that runs: every example in README, docs and docstrings, against a real server."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest
from clusters import HOST, LocalCluster, LocalSentinel

import redisjson_dict
import redisjson_dict.asyncio
from redisjson_dict import JSONArray, JSONObject, RedisJSONDict, Reference
from redisjson_dict.pipeline import Batch, BatchReference
from redisjson_dict.references import PlaceVerbs
from redisjson_dict.server import binaries

ROOT = Path(__file__).parents[1]
TEXTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(redisjson_dict.__path__, "redisjson_dict.")
    if not module.name.endswith("__main__")
)
PACKAGE = Path(redisjson_dict.__file__).parent

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(path: Path) -> list[tuple[int, str]]:
    """Return the Python blocks of a text with the lines they start at."""
    text = path.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start(2)), match[2])
        for match in _BLOCK.finditer(text)
        if match[1] in ("python", "pycon", "py")
    ]


def _run(test: doctest.DocTest) -> None:
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test, out=report.append)

    assert not runner.failures, "".join(report)


def _anchors(path: Path) -> set[str]:
    """Return the anchors that the headings of a text have when it is shown as a page."""
    headings = _HEADING.findall(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture
def clusters_at_hand():
    """What the page about Cluster and Sentinel needs."""
    if not binaries():
        pytest.skip("no server program with JSON on this machine")
    with LocalCluster(3) as cluster, LocalSentinel(1) as watched:
        yield {
            "cluster_url": f"redis://{HOST}:{cluster.primaries()[0].port}",
            "sentinels": [(HOST, port) for port in watched.ports],
        }


@pytest.mark.parametrize("path", TEXTS, ids=_name)
def test_examples_of_a_text_hold(path, d, client, url, prefix, request):
    """The blocks of one text run one after the other, in one namespace."""
    blocks = _blocks(path)
    if any("Server()" in block for _, block in blocks) and not binaries():
        pytest.skip("no embedded server on this machine")
    names = {"d": d, "client": client, "url": url, "prefix": prefix}
    if path.name == "cluster.md":
        names |= request.getfixturevalue("clusters_at_hand")
    for line, block in blocks:
        test = doctest.DocTestParser().get_doctest(block, names, _name(path), str(path), line)
        test.globs = names
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        report: list[str] = []
        runner.run(test, out=report.append, clear_globs=False)

        assert not runner.failures, "".join(report)


@pytest.mark.parametrize("path", TEXTS, ids=_name)
def test_python_in_a_text_is_tested(path):
    for line, block in _blocks(path):
        assert block.startswith(">>> "), f"{_name(path)}, line {line + 1}: not a doctest"


@pytest.mark.parametrize("path", TEXTS, ids=_name)
def test_links_in_a_text_lead_somewhere(path):
    for link in _LINK.findall(path.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path

        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_hold(name, d, client):
    module: ModuleType = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        test.globs |= {"d": d, "client": client}
        if test.examples:
            _run(test)


@pytest.mark.parametrize("owner", [RedisJSONDict, JSONObject, JSONArray, Reference])
def test_semantics_has_every_verb(owner):
    """Each public name occurs in the section that carries the class's name."""
    text = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {owner.__name__}\n")[2].partition("\n## ")[0]

    assert section
    assert _unnamed(owner, section) == set()


@pytest.mark.parametrize(
    ("page", "owner"),
    [
        ("async", redisjson_dict.asyncio.RedisJSONDict),
        ("async", redisjson_dict.asyncio.AsyncReference),
        ("pipelines", Batch),
        ("pipelines", BatchReference),
    ],
)
def test_page_has_every_verb(page, owner):
    """Each public name occurs on its page, or among those of a reference."""
    semantics = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
    shared = semantics.partition("\n## Reference\n")[2].partition("\n## ")[0]
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    if issubclass(owner, PlaceVerbs):
        text += shared

    assert _unnamed(owner, text) == set()


def _unnamed(owner: type, text: str) -> set[str]:
    """Return the public names of a class that a text does not mention."""
    names = {name for name, _ in inspect.getmembers(owner) if not name.startswith("_")}
    return {name for name in names if not re.search(rf"\b{name}\b", text)}


def _layers() -> dict[str, int]:
    """Return the row of each module in the table of layers."""
    text = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d*) *\| (`.+?) \|", text.partition("## Layers")[2], re.MULTILINE)
    return {
        module: int(row or 2) for row, names in rows for module in re.findall(r"`(\w+)`", names)
    }


def _imports(path: Path) -> set[str]:
    """Return the modules of the package that a module needs at run time."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in typing_only:
            home = (node.module or "").split(".")
            if home[0] == "redisjson_dict":
                found |= {home[-1]} if len(home) > 1 else set()
                if PACKAGE.joinpath(*home[1:]).is_dir():  # what is imported may be a module
                    found |= {alias.name for alias in node.names} & set(_layers())
    return found


def test_layers_are_as_documented():
    layers = _layers()
    modules = {
        path.parent.name if path.stem == "__init__" else path.stem: path
        for path in PACKAGE.rglob("*.py")
        if path.parent != PACKAGE or not path.stem.startswith("__")
    }

    assert set(layers) == set(modules)
    for name, path in modules.items():
        wrong = {other for other in _imports(path) if layers[other] >= layers[name]}

        assert not wrong, f"{name} imports {wrong}, which are not above it"


def test_changelog_has_this_version():
    version = re.search(
        r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert version is not None

    assert f"\n## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

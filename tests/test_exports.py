"""What the package shows, and what importing it does not do."""

import ast
import importlib
import pkgutil
import subprocess
import sys
import types
from importlib.resources import files
from pathlib import Path

import pytest

import redisjson_dict

PACKAGE = Path(redisjson_dict.__file__).parent
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(redisjson_dict.__path__, "redisjson_dict.")
    if not found.name.endswith("__main__")
)

WATCH = """
import socket, sys

def refuse(*_, **__):
    raise AssertionError("a socket was opened")

socket.socket.__init__ = refuse
socket.create_connection = socket.getaddrinfo = refuse
sys.path.insert(0, sys.argv[1])
before = __import__("threading").active_count()
import redisjson_dict
assert __import__("threading").active_count() == before
print(*sorted(sys.modules))
"""


@pytest.fixture(scope="module")
def imported():
    """The modules that an import of the package brings along, in a fresh process."""
    command = [sys.executable, "-W", "error", "-c", WATCH, str(PACKAGE.parent)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_all_is_sorted():
    assert redisjson_dict.__all__ == sorted(redisjson_dict.__all__)


def test_all_has_no_double():
    assert len(set(redisjson_dict.__all__)) == len(redisjson_dict.__all__)


def test_all_is_small():
    assert len(redisjson_dict.__all__) <= 15


@pytest.mark.parametrize("name", redisjson_dict.__all__)
def test_public_name_is_importable(name):
    assert hasattr(redisjson_dict, name)


@pytest.mark.parametrize("name", redisjson_dict.__all__)
def test_public_name_is_documented(name):
    assert getattr(redisjson_dict, name).__doc__


def test_nothing_else_is_public():
    shown = {
        name
        for name, value in vars(redisjson_dict).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }

    assert shown == set(redisjson_dict.__all__)


def test_public_modules_are_its_own():
    modules = [
        value.__name__
        for name, value in vars(redisjson_dict).items()
        if name[0].isalpha()
        and isinstance(value, types.ModuleType)  # pytest adds "@..." to plugins
    ]

    assert all(name.startswith("redisjson_dict.") for name in modules)


def test_init_is_imports_and_all():
    body = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body[1:]

    assert all(isinstance(node, (ast.ImportFrom, ast.Assign)) for node in body)
    assert [node.targets[0].id for node in body if isinstance(node, ast.Assign)] == ["__all__"]


def test_star_import_brings_all():
    names = {}
    exec("from redisjson_dict import *", names)

    assert set(names) - {"__builtins__"} == set(redisjson_dict.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_module_lists_what_is_public(name):
    module = importlib.import_module(name)

    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_module_says_what_it_holds(name):
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize(
    "name",
    ["numpy", "rich", "typer", "sqlite3", "IPython", "jinja2", "pytest", "hypothesis"],
)
def test_import_brings_no(name, imported):
    assert name not in imported


@pytest.mark.parametrize(
    "name",
    [
        "asyncio",
        "cli",
        "html",
        "jsonpath",
        "layout",
        "migration",
        "operations.previews",
        "pieces",
        "pipeline",
        "preview",
        "queue",
        "server",
        "settlement",
        "testing",
        "urls",
    ],
)
def test_what_only_some_use_is_not_loaded(name, imported):
    assert f"redisjson_dict.{name}" not in imported
    assert (PACKAGE / f"{name.replace('.', '/')}.py").exists() or (PACKAGE / name).is_dir()


def test_import_opens_no_socket(imported):
    assert "redisjson_dict" in imported


def test_py_typed_ships():
    assert files("redisjson_dict").joinpath("py.typed").is_file()


@pytest.mark.parametrize("name", sorted(redisjson_dict.__all__))
def test_errors_have_one_base(name):
    value = getattr(redisjson_dict, name)
    if isinstance(value, type) and issubclass(value, Exception):
        assert issubclass(value, redisjson_dict.RedisJSONDictError)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("StaleLocationError", LookupError),
        ("NotADocumentError", TypeError),
        ("UnsupportedValueError", TypeError),
        ("ValueRangeError", ValueError),
        ("PipelineError", RuntimeError),
        ("ConflictError", RuntimeError),
    ],
)
def test_errors_are_what_dict_users_catch(name, builtin):
    assert issubclass(getattr(redisjson_dict, name), builtin)


@pytest.mark.parametrize("builtin", [KeyError, IndexError])
def test_stale_is_neither_key_nor_index_error(builtin):
    assert not issubclass(redisjson_dict.StaleLocationError, builtin)

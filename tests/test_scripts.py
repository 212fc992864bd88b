"""The Lua files: whole, known to the server, all of them used."""

import ast
import hashlib
import re
from pathlib import Path

import pytest

import redisjson_dict
from redisjson_dict.scripts import script

PACKAGE = Path(redisjson_dict.__file__).parent
FILES = {path.stem: path.read_text(encoding="utf-8") for path in PACKAGE.glob("scripts/*.lua")}
PARTS = {name[1:]: text for name, text in FILES.items() if name.startswith("_")}
SCRIPTS = sorted(name for name in FILES if not name.startswith("_"))
MAKERS = {"scripted", "script", "_documents", "_found_each"}
SHEBANGS = ("#!lua", "#!lua flags=no-writes", "#!lua flags=allow-oom")
READS = {
    *("EXISTS", "GET", "PEXPIRETIME"),
    *("JSON.ARRINDEX", "JSON.ARRLEN", "JSON.GET", "JSON.OBJKEYS", "JSON.OBJLEN"),
    *("JSON.STRLEN", "JSON.TYPE", "PTTL", "TYPE"),
}
SHRINKS = READS | {
    *("JSON.ARRPOP", "JSON.ARRTRIM", "JSON.CLEAR", "JSON.DEL", "JSON.MERGE", "JSON.TOGGLE"),
    *("PERSIST", "RENAME", "PEXPIRE", "PEXPIREAT"),
}
NOT_LONGER = {"compare_and_shrink": {"JSON.SET", "JSON.NUMINCRBY"}}  # see test_operations


def needs(text):
    lines = re.findall(r"^-- needs: (.*)$", text, re.MULTILINE)
    return [part for line in lines for part in line.split(", ")]


def own_lines(text):
    """The text of a script without its comments."""
    return re.sub(r"--.*", "", text)


def functions(text):
    """The functions of a part by name, and what is left without them."""
    pattern = re.compile(r"^local function (\w+).*?^end$", re.MULTILINE | re.DOTALL)
    return {m[1]: m[0] for m in pattern.finditer(text)}, pattern.sub("", text)


def commands(name):
    """What a script may call, itself or by the functions that it reaches."""
    known, code = {}, own_lines(FILES[name])
    for part in needs(FILES[name]):
        made, rest = functions(own_lines(PARTS[part]))
        known |= made
        code += rest
    reached = set()
    while new := {f for f in known if re.search(rf"\b{f}\(", code)} - reached:
        reached |= new
        code += "".join(known[f] for f in new)
    return set(re.findall(r"redis\.p?call\('([A-Z.]+)'", code))


def names_in_sources():
    """Every script that is named in a call."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                name = node.args[0]
                either = [name.body, name.orelse] if isinstance(name, ast.IfExp) else [name]
                if node.func.id == "partial" and len(node.args) > 1:  # of one of them
                    name = node.args[1]
                    either = [name]
                    maker = node.args[0].id if isinstance(node.args[0], ast.Name) else ""
                else:
                    maker = node.func.id
                if maker in MAKERS:
                    yield from (one.value for one in either if isinstance(one, ast.Constant))


def test_there_are_scripts():
    assert len(SCRIPTS) > 30


@pytest.mark.parametrize("name", SCRIPTS)
def test_server_agrees_on_the_digest(client, name):
    loaded = client.execute_command("SCRIPT LOAD", script(name).source)

    assert (loaded.encode() if isinstance(loaded, str) else loaded) == script(name).sha


@pytest.mark.parametrize("name", SCRIPTS)
def test_digest_is_of_the_source(name):
    found = script(name)

    assert found.sha.decode() == hashlib.sha1(found.source).hexdigest()
    assert found.name == name


@pytest.mark.parametrize("name", SCRIPTS)
def test_file_starts_with_a_shebang(name):
    assert FILES[name].split("\n")[0] in SHEBANGS
    assert script(name).source.decode().split("\n")[0] == FILES[name].split("\n")[0]


@pytest.mark.parametrize("name", PARTS)
def test_part_has_no_shebang(name):
    assert not PARTS[name].startswith("#!")


@pytest.mark.parametrize("name", SCRIPTS)
def test_shebang_stands_once(name):
    assert script(name).source.count(b"#!lua") == 1


@pytest.mark.parametrize("name", SCRIPTS)
def test_needed_parts_stand_in_place_of_their_names(name):
    own = re.split(r"^-- needs: .*\n", FILES[name], flags=re.MULTILINE)
    left = script(name).source.decode()
    for part in needs(FILES[name]):
        left = left.replace(PARTS[part], "", 1)

    assert left == "".join(own)


@pytest.mark.parametrize("name", SCRIPTS)
def test_reading_script_only_reads(name):
    if FILES[name].startswith("#!lua flags=no-writes"):
        assert commands(name) <= READS
        assert script(name).reads


@pytest.mark.parametrize("name", SCRIPTS)
def test_writing_script_says_so(name):
    if commands(name) - READS:
        assert not script(name).reads


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_for_full_memory_never_grows(name):
    if FILES[name].startswith("#!lua flags=allow-oom"):
        assert commands(name) <= SHRINKS | NOT_LONGER.get(name, set())


def test_sources_name_scripts_that_exist():
    assert set(names_in_sources()) <= set(SCRIPTS)


def test_every_script_is_named_in_the_sources():
    assert set(SCRIPTS) <= set(names_in_sources())


def test_every_part_is_needed():
    assert set(PARTS) == {part for name in SCRIPTS for part in needs(FILES[name])}


@pytest.mark.parametrize("name", SCRIPTS)
def test_needed_parts_are_used(name):
    body = own_lines(FILES[name])
    for part in needs(FILES[name]):
        others = [PARTS[p] for p in needs(FILES[name]) if p != part]
        made = re.findall(r"^local (?:function )?([a-z_, ]+)", PARTS[part], re.MULTILINE)
        words = {word.strip() for group in made for word in group.split(",")}

        assert any(re.search(rf"\b{w}\b", text) for w in words for text in (body, *others)), part


@pytest.mark.parametrize("name", FILES)
def test_user_json_is_never_decoded(name):
    assert "cjson.decode" not in FILES[name]


@pytest.mark.parametrize("name", FILES)
def test_protocol_is_never_switched(name):
    assert "setresp" not in FILES[name]


def test_script_is_read_once():
    assert script("peek") is script("peek")


def test_unknown_script_is_an_error():
    with pytest.raises(FileNotFoundError):
        script("no such script")


def test_server_without_scripts_is_taught(d, client):
    d["a"] = {"b": 1}
    client.script_flush()

    assert d["a"].incr("b") == 2
    assert d["a", "b"] == 2

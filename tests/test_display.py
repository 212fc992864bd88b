"""How live values look: repr, IPython, notebooks, rich; and what is shown when nothing can be."""

from __future__ import annotations

import asyncio
import io
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest
import redis
import rich
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.lib.pretty import pretty
from nbclient import NotebookClient
from relay import Relay
from rich.console import Console
from rich.pretty import pretty_repr
from test_wire import Wire, load_scripts

from redisjson_dict import RedisJSONDict
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict
from redisjson_dict.server import Server

SECRET = "s3cret-pw"
CONTENT: dict[str, Any] = {"a": [1, {"b": None}], "t": "<b>é</b>", " lead": 0.5, "": {}}
LOOKS: dict[str, Any] = {
    "repr": repr,
    "str": str,
    "format": "{}".format,
    "pretty": pretty,
    "html": lambda live: live._repr_html_(),
    "bundle": lambda live: live._repr_mimebundle_(),
    "rich": pretty_repr,
}


@pytest.fixture
def wire(relay: Relay, client: redis.Redis, prefix: str) -> Iterator[Wire]:
    load_scripts(client)
    wire = Wire(relay, prefix, client)
    wire.d["doc"] = CONTENT | {"big": list(range(5000))}
    yield wire
    wire.client.close()


@pytest.mark.parametrize("look", LOOKS)
def test_each_look_is_one_round_trip(wire, look) -> None:
    o, a = wire.d["doc"], wire.d["doc", "big"]

    assert [wire.cost(lambda p=place: LOOKS[look](p)).turns for place in (o, a)] == [1, 1]
    assert wire.cost(lambda: LOOKS[look](wire.d)).turns == 2


@pytest.mark.parametrize("view", ["keys", "values", "items"])
def test_views_look_at_once_too(wire, view) -> None:
    assert wire.cost(lambda: repr(getattr(wire.d["doc"], view)())).turns == 1 + 1
    assert wire.cost(lambda: repr(getattr(wire.d, view)())).turns == 2


def test_ipython_asks_once(wire) -> None:
    formatter = InteractiveShell.instance().display_formatter
    o = wire.d["doc"]
    shown: list[Any] = []
    cost = wire.cost(lambda: shown.append(formatter.format(o)[0]))

    assert cost.turns == 1
    assert set(shown[0]) == {"text/plain", "text/html"}
    assert shown[0]["text/plain"].startswith("{'a': [1, {'b': None}],\n 't': '<b>é</b>',\n")
    assert shown[0]["text/plain"].endswith("98, 99, ... 4900 more]}")


def completed(code: str, **names: Any) -> list[str]:
    """What IPython offers when Tab is pressed behind some code."""
    shell = InteractiveShell.instance()
    shell.push(names)
    with provisionalcompleter():
        found = list(shell.Completer.completions(code, len(code)))
    return [one.text for one in found]


def test_ipython_completes_names(d) -> None:
    d["run-1"] = {"sample": {"é": 1}, "count": 0, "sa": 1}
    d["other"] = 1

    assert d._ipython_key_completions_() in (["run-1", "other"], ["other", "run-1"])
    assert completed("d['r", d=d) == ["run-1"]
    assert completed("o['sam", o=d["run-1"]) == ["sample"]
    assert completed("o['", o=d["run-1", "sample"]) == ["é"]


def test_completion_is_bounded(wire) -> None:
    o = wire.d["doc"]
    o["big"] = {f"m{n}": n for n in range(5001)}
    big = o["big"]

    assert wire.commands(o._ipython_key_completions_) == ["EVALSHA"] * 2
    assert wire.commands(big._ipython_key_completions_) == ["EVALSHA"]
    assert big._ipython_key_completions_() == []
    o[" odd"] = {"a": 1}
    odd = o[" odd"]
    assert wire.commands(odd._ipython_key_completions_) == []


def test_completion_raises_nothing(d) -> None:
    d["doc"] = {"a": {}}
    gone = d["doc", "a"]
    del d["doc"]

    assert gone._ipython_key_completions_() == []
    with nowhere() as away:
        assert away._ipython_key_completions_() == []


def test_complete_looks_are_plain(d) -> None:
    d["doc"] = CONTENT
    o = d["doc"]

    assert repr(o) == str(o) == f"{o}" == pretty(o) == repr(CONTENT)
    assert repr(d) == pretty(d) == repr({"doc": CONTENT})
    assert repr(o["a"]) == repr(CONTENT["a"])
    assert pretty_repr(o, max_width=200) == f"JSONObject({CONTENT!r})"
    assert repr(o.items()) == repr(CONTENT.items())


def test_live_values_in_containers_are_laid_out(d) -> None:
    d["doc"] = {"texts": ["x" * 30] * 4}

    assert pretty([d["doc"]]).splitlines() == [
        "[{'texts': ['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',",
        "   'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx']}]",
    ]


def test_rich_prints_cuts(d) -> None:
    d["doc"] = {"log": list(range(5000)), "wide": {f"m{n}": n for n in range(20_000)}}
    out = io.StringIO()
    Console(file=out, width=100).print(d["doc"])

    assert rich.pretty.is_expandable(d["doc"])
    assert "... 4900 more" in out.getvalue()
    assert "...: 20000 members" in out.getvalue()


@pytest.fixture
def crowded() -> Iterator[redis.Redis]:
    """A server of one's own, which others fill with foreign keys."""
    with Server() as server:
        yield server.client()


def fill(client: redis.Redis, count: int) -> None:
    for start in range(0, count, 10_000):
        client.mset({f"foreign:{number}": 1 for number in range(start, start + 10_000)})


def test_few_documents_among_many_foreign_keys(crowded) -> None:
    fill(crowded, 30_000)
    d, empty = RedisJSONDict(crowded, "few:"), RedisJSONDict(crowded, "none:")
    d.update({"a": 1, "b": [2]})

    assert repr(d) == "{'a': 1, 'b': [2]}"
    assert repr(d.keys()) == "dict_keys(['a', 'b'])"
    assert repr(empty) == "{}"
    d.update({f"m{n:04}": n for n in range(4000)})
    assert repr(d).endswith(" more}")
    d.clear()


def test_search_that_ended_early_asserts_no_members(crowded) -> None:
    fill(crowded, 200_000)
    d, empty = RedisJSONDict(crowded, "some:"), RedisJSONDict(crowded, "none:")
    d.update({f"m{n:02}": n for n in range(90)})

    assert repr(empty) == "{...}"
    assert repr(empty.items()) == "dict_items([...])"
    assert repr(d).startswith("{'m")
    assert repr(d).endswith(", ...}")
    for shown in (d._repr_html_(), pretty_repr(d), pretty(d), empty._repr_html_()):
        assert "not searched to the end; len(d) counts" in shown
        assert " more" not in shown
    d.clear()


def test_odd_place_shows_what_it_may(d) -> None:
    d["doc"] = {" a": {"b": 1}, "a": 2}
    o = d["doc", " a"]

    assert repr(o) == "{'b': 1}"
    d["doc", "log"] = list(range(5000))
    assert repr(o) == "{... 1 member}"
    assert repr(o.keys()) == "dict_keys([... 1 member])"
    d["doc"] = {f"m{n}": n for n in range(2000)} | {" a": {"b": 1}}
    assert repr(o) == "{...}"
    assert repr(o.keys()) == "dict_keys([...])"
    assert "{...}" in o._repr_html_()


def test_stale_value_says_so(d) -> None:
    d["doc"] = {"o": {"a": 1}, "l": [[0]]}
    o, a = d["doc", "o"], d["doc", "l", 0]
    d["doc", "o"] = [1]
    d["doc", "l"].clear()

    assert repr(o) == "<stale JSONObject: document 'doc' at $['o']>"
    assert repr(a) == "<stale JSONArray: document 'doc' at $['l'][0]>"
    assert repr(o.keys()) == "dict_keys(<stale JSONObject: document 'doc' at $['o']>)"
    assert all("stale" in str(look(o)) for look in LOOKS.values())
    del d["doc"]
    assert repr(a) == "<stale JSONArray: document 'doc' at $['l'][0]>"


def test_foreign_key_in_the_place_of_a_document(d, client, prefix) -> None:
    d["doc"] = [1]
    a = d["doc"]
    client.delete(prefix + "doc")
    client.set(prefix + "doc", "text")

    assert repr(a) == "<JSONArray document 'doc' at $: NotADocumentError>"
    assert repr(d) == "{}"


def nowhere(**options: Any) -> RedisJSONDict:
    """A dict whose server is not there."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    url = f"redis://ann:{SECRET}@127.0.0.1:{port}"
    return RedisJSONDict.from_url(url, "lab:", retry=None, socket_timeout=2, **options)


@pytest.mark.parametrize("look", LOOKS)
def test_no_server_is_said_without_a_password(look) -> None:
    with nowhere() as d:
        shown = str(LOOKS[look](d)) + repr(d.items())

    assert "ConnectionError" in shown
    assert "lab:" in shown
    assert SECRET not in shown


def test_broken_connection_is_said(wire) -> None:
    single = redis.Redis.from_url(wire.relay.url, retry=None)
    d = RedisJSONDict(single, "")
    wire.d["doc"] = CONTENT
    o = RedisJSONDict(single, wire.d._space.pattern.decode()[:-1])["doc"]
    with wire.relay.losing(b"EVALSHA"):
        assert repr(o) == "<JSONObject document 'doc' at $: ConnectionError>"
    with wire.relay.losing(b"SCAN"):
        assert repr(d) == "<RedisJSONDict prefix='': ConnectionError>"
    assert repr(o) == repr(CONTENT)
    single.close()


def test_missing_right_is_said(d, client, prefix, url) -> None:
    d["doc"] = CONTENT
    user = f"u-{prefix}"
    rule = f"reset on >pw resetchannels ~{prefix}* +@all -json.strlen -scan".split()
    client.execute_command("ACL", "SETUSER", user, *rule)
    few = redis.Redis.from_url(url, username=user, password="pw")
    limited = RedisJSONDict(few, prefix)

    assert repr(limited) == f"<RedisJSONDict prefix={prefix!r}: NoPermissionError>"
    assert repr(limited["doc"]) == "<JSONObject document 'doc' at $: ResponseError>"
    few.close()
    client.execute_command("ACL", "DELUSER", user)


def test_looking_in_a_batch_sees_the_state_before(d) -> None:
    d["doc"] = {"a": 1}
    o = d["doc"]
    with d.pipeline() as batch:
        o["a"] = 2
        promise, kept = batch["doc"].incr("a"), batch.get("doc")
        assert repr(o) == "{'a': 1}"
        assert repr(batch) == f"<Batch {d._whereabouts()}: 3 queued>"
        assert repr(d.pipeline()) == (
            f"<Pipeline {d._whereabouts()}: use it as 'with d.pipeline() as batch:'>"
        )
        assert repr(batch["doc"]["a"]) == "<BatchReference document 'doc' at $['a']>"
        assert repr(promise) == "<Pending: not sent yet>"

    assert repr(batch).endswith(" ended>")
    assert repr(promise) == "<Pending: 3>"
    assert repr(kept) == "<Pending: object, document 'doc' at $>"


def test_broken_promise_shows_its_error(d) -> None:
    d["doc"] = {"a": {"b": [1] * 50}}
    with pytest.raises(RuntimeError), d.pipeline() as batch:
        taken, lost = batch["doc"].pop("a"), batch["doc"].pop("gone")

    assert repr(taken) == "<Pending: dict>"
    assert repr(lost) == "<Pending: KeyError>"


def test_lazy_and_awaited_values_ask_nothing() -> None:
    d = nowhere()

    assert repr(d.at("doc", "a", 0)) == "<Reference document 'doc' at $['a'][0]>"
    waits = AsyncRedisJSONDict.from_url(f"redis://ann:{SECRET}@127.0.0.1:1", "lab:")
    assert repr(waits) == "<asyncio RedisJSONDict prefix='lab:': await its .to_python()>"
    assert repr(waits["doc"]["a"]) == "<AsyncReference document 'doc' at $['a']: await its .get()>"
    assert repr(waits.pipeline()) == (
        "<AsyncPipeline prefix='lab:': use it as 'async with d.pipeline() as batch:'>"
    )
    asyncio.run(waits.aclose())


def test_import_brings_no_renderer() -> None:
    code = "import sys, redisjson_dict; print([m for m in ('IPython', 'rich') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"


def test_notebook_shows_a_tree(url, d, prefix) -> None:
    d["run"] = {"sample": {"color": "red"}, "log": list(range(2000)), "<script>x": "</details>"}
    cells = [
        "from redisjson_dict import RedisJSONDict",
        f"d = RedisJSONDict.from_url({url!r}, {prefix!r})",
        "d",
        "d['run']",
        "print(d['run', 'sample'])",
        "d.close()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    whole, run, printed = (cell.outputs[0] for cell in notebook.cells[2:5])

    for shown in (whole, run):
        assert set(shown.data) == {"text/plain", "text/html"}
        assert "... 1900 more" in shown.data["text/plain"]
        assert "&lt;script&gt;x" in shown.data["text/html"]
        assert "<script" not in shown.data["text/html"]
    assert printed.text == "{'color': 'red'}\n"

"""The smaller examples, each as its user runs it; the web one over HTTP."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from redisjson_dict.server import binaries
from redisjson_dict.testing import assert_commands

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = sorted(EXAMPLES.glob("*.py"))


def load(name):
    """Return an example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, *arguments):
    return subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
    )


@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_index_names_every_example(path):
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")

    assert f"`{path.name}`" in text
    assert f"python examples/{path.name}" in text


def test_two_engines_never_get_one_scan_id(url, client):
    pytest.importorskip("bluesky", reason="bluesky is not installed: the extra [examples] has it")
    done = run("bluesky_metadata", url)

    assert (done.returncode, done.stderr) == (0, "")
    assert "20 runs of two engines, 20 scan ids: 1 to 20\n" in done.stdout
    assert "as both engines counted: 20\n" in done.stdout
    assert "plain data: {'name': 'Ni foil', 'measured': 0}" in done.stdout
    assert not client.exists("beamline:last_scan_id", "beamline:sample")


def test_engine_metadata_is_the_dict(d):
    """What the engine stores lies in the document, and a start document is plain data."""
    pytest.importorskip("bluesky", reason="bluesky is not installed: the extra [examples] has it")
    example = load("bluesky_metadata")
    starts = []
    RE = example.engine(d)
    RE.subscribe(lambda _, document: starts.append(document), "start")
    d["sample"] = {"name": "x", "positions": [1]}
    RE.md["proposal"] = {"id": 7}
    RE(example.count([example.Thermometer()], num=1))
    d["scan_id"] = 99  # as another engine would
    RE(example.count([example.Thermometer()], num=1))

    assert d["proposal", "id"] == 7
    assert [start["scan_id"] for start in starts] == [1, 2]
    assert type(starts[0]["sample"]) is dict
    assert starts[0]["sample"] == {"name": "x", "positions": [1]}
    assert d["versions"]["bluesky"]


def test_engine_goes_on_from_a_migrated_scan_id(d):
    pytest.importorskip("bluesky", reason="bluesky is not installed: the extra [examples] has it")
    example = load("bluesky_metadata")
    starts = []
    d["scan_id"] = 41
    for _ in range(2):
        RE = example.engine(d)
        RE.subscribe(lambda _, document: starts.append(document), "start")
        RE(example.count([example.Thermometer()], num=1))

    assert [start["scan_id"] for start in starts] == [42, 43]


def test_killed_worker_loses_nothing_acknowledged(url, client, d):
    d["theirs"] = 1
    done = run("worker_pool", url)

    assert (done.returncode, done.stderr) == (0, "")
    assert "lost of them: 0\n" in done.stdout
    assert "not done: 1\n" in done.stdout
    assert "finished: 200 of 200, 200 lines in the log\n" in done.stdout
    assert not client.exists("pool:job")
    assert d["theirs"] == 1


@pytest.mark.skipif(not binaries(), reason="no embedded server on this machine")
def test_cache_example_runs_on_a_server_of_its_own():
    pytest.importorskip("cachetools", reason="cachetools is not installed")
    done = run("local_cache")

    assert (done.returncode, done.stderr) == (0, "")
    assert "read at once: {'low': 1, 'high': 9} or 10" in done.stdout
    assert "later: {'low': 1, 'high': 10}" in done.stdout
    assert "forgotten: {'low': 2, 'high': 10}" in done.stdout


@pytest.fixture
def reader(d):
    pytest.importorskip("cachetools", reason="cachetools is not installed")
    clock = [0.0]
    reader = load("local_cache").StaleReader(d, 10, size=3, timer=lambda: clock[0])
    reader.clock = clock
    return reader


def test_cached_read_sends_nothing(d, client, prefix, reader):
    d["a"] = {"b": [1]}
    with assert_commands(client, prefix, 1):
        assert reader.read("a") == reader.read("a") == {"b": [1]}


def test_cached_value_ends_in_time(d, reader):
    d["a"] = 1
    reader.read("a")
    d["a"] = 2
    reader.clock[0] = 9.9
    assert reader.read("a") == 1
    reader.clock[0] = 10.1

    assert reader.read("a") == 2


def test_cached_value_is_the_callers_own(d, reader):
    d["a"] = {"b": [1]}
    reader.read("a")["b"].append(2)
    reader.read("a")["b"].append(3)

    assert reader.read("a") == {"b": [1]}


def test_absence_is_not_cached(d, reader):
    with pytest.raises(KeyError):
        reader.read("a")
    d["a"] = 1

    assert reader.read("a") == 1


def test_forgetting_reaches_up_and_down(d, client, prefix, reader):
    d["a"] = {"b": {"c": 1}, "x": 1}
    paths = [("a",), ("a", "b", "c"), ("a", "x")]
    for path in paths:
        reader.read(*path)
    d["a", "b", "c"] = 2
    reader.forget("a", "b")

    with assert_commands(client, prefix, 2):
        assert [reader.read(*path) for path in paths] == [{"b": {"c": 2}, "x": 1}, 2, 1]


@contextmanager
def served(app):
    """Serve an app over HTTP in a thread; give its address."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def web_example():
    for package in ("fastapi", "httpx", "uvicorn"):
        pytest.importorskip(package, reason=f"{package} is not installed: the extra [test] has it")
    return load("web_sessions")


@pytest.fixture
def two_servers(url, prefix):
    """Two web servers with the same sessions."""
    make_app = web_example().make_app
    with served(make_app(url, prefix)) as one, served(make_app(url, prefix)) as two:
        yield one, two


def test_session_over_http(two_servers, d):
    import httpx

    one, two = two_servers
    with httpx.Client() as browser, httpx.Client() as stranger:
        assert browser.get(f"{one}/basket").json() == {"basket": [], "requests": 0}
        cookie = browser.cookies["session"]
        assert browser.post(f"{two}/basket/tea é").json() == {"requests": 1}
        assert browser.post(f"{one}/basket/cup").json() == {"requests": 2}
        assert browser.delete(f"{two}/basket/cup").status_code == 200
        assert browser.delete(f"{two}/basket/cup").status_code == 404
        assert browser.get(f"{one}/basket").json() == {"basket": ["tea é"], "requests": 2}
        assert stranger.get(f"{one}/basket").json()["basket"] == []

        assert 1700 < d.ttl(cookie) <= 1800
        assert len(d) == 2
        browser.post(f"{one}/logout")
        assert cookie not in d
        assert browser.get(f"{one}/basket").json() == {"basket": [], "requests": 0}


def test_session_is_renewed_and_ends(two_servers, d):
    import httpx

    with httpx.Client() as browser:
        browser.post(f"{two_servers[0]}/basket/tea")
        cookie = browser.cookies["session"]
        d.expire(cookie, 100)
        browser.get(f"{two_servers[1]}/basket")
        assert d.ttl(cookie) > 1700
        del d[cookie]
        assert browser.get(f"{two_servers[1]}/basket").json()["basket"] == []
        assert browser.cookies["session"] != cookie


def test_name_that_was_not_given_is_no_session(two_servers, d):
    import httpx

    d["chosen"] = [1]
    with httpx.Client(cookies={"session": "invented"}) as browser:
        browser.get(f"{two_servers[0]}/basket")

    assert "invented" not in d


def test_requests_of_one_session_lose_nothing(two_servers, d):
    import httpx

    async def all_at_once():
        async with httpx.AsyncClient(timeout=30) as browser:
            await browser.get(f"{two_servers[0]}/basket")
            posts = [browser.post(f"{two_servers[turn % 2]}/basket/{turn}") for turn in range(60)]
            answers = await asyncio.gather(*posts)
            return browser.cookies["session"], [answer.status_code for answer in answers]

    cookie, statuses = asyncio.run(all_at_once())

    assert statuses == [200] * 60
    assert sorted(map(int, d[cookie]["basket"])) == list(range(60))
    assert d[cookie]["requests"] == 60


def test_session_that_ends_meanwhile_is_refused(url, prefix, d):
    """It is removed between renewing it and writing to it: 401, and nothing comes back."""
    example = web_example()
    import httpx

    class Vanishing(example.RedisJSONDict):
        async def expire(self, key, time):
            await super().expire(key, time)
            await self.delete(key)

    example.RedisJSONDict = Vanishing
    with served(example.make_app(url, prefix)) as address, httpx.Client() as browser:
        for ask in (browser.get, browser.post, browser.delete):
            browser.cookies.clear()
            browser.get(f"{address}/basket")
            answer = ask(f"{address}/basket{'' if ask == browser.get else '/tea'}")
            assert (answer.status_code, answer.json()) == (401, {"detail": "the session has ended"})

    assert not d

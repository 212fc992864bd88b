"""Over TLS, with certificates checked; and names and passwords of any characters in URLs."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import redis
import redis.asyncio
from clusters import HOST, free_ports, until
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel
from tls import Certificates, Door, tls_server

from redisjson_dict import RedisJSONDict
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict
from redisjson_dict.server import Server, ServerError, binaries

KINDS = ["door", "server"]
USER, PASSWORD = "ä:user@/#?", "p@ss/w:rd#?%25&é€ +"
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
ONCE: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 5}

pytestmark = pytest.mark.skipif(
    not binaries(), reason="no server program with JSON on this machine"
)


class Place(NamedTuple):
    """Where a server listens with TLS, and which certificates fit."""

    port: int
    certificates: Certificates
    plain_url: str

    @property
    def url(self) -> str:
        return f"rediss://{HOST}:{self.port}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("strange"))


def start(
    certificates: Certificates, *, clients: bool = False, **options: str
) -> tuple[Server, int]:
    """Start the first server that was built with TLS."""
    for binary in binaries():
        with contextlib.suppress(ServerError):
            return tls_server(certificates, binary, clients=clients, **options)
    pytest.skip(f"none of {[b.name for b in binaries()]} was built with TLS")


def places(certificates: Certificates, kind: str, *, clients: bool = False) -> Iterator[Place]:
    if kind == "door":
        with Server() as server, Door(certificates, server.url, clients=clients) as door:
            yield Place(door.port, certificates, server.url)
        return
    server, port = start(certificates, clients=clients)
    with server:
        yield Place(port, certificates, server.url)


@pytest.fixture(scope="module", params=KINDS)
def place(certificates: Certificates, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A server that speaks TLS, and a door in front of one that does not."""
    yield from places(certificates, request.param)


@pytest.fixture(scope="module", params=KINDS)
def strict(certificates: Certificates, request: pytest.FixtureRequest) -> Iterator[Place]:
    """The same, where clients must show a certificate."""
    yield from places(certificates, request.param, clients=True)


def use(d: RedisJSONDict) -> None:
    """Read, write, append, and send a batch."""
    d["run"] = {"log": [1], "é": "x" * 100_000}
    d["run"]["log"].append(2)
    with d.pipeline() as batch:
        batch["run"]["log"].append(3)
    d["run"]["log"].reverse()
    assert d["run", "log"].to_python() == [3, 2, 1]
    assert list(d) == ["run"]
    d.clear()


async def ause(d: AsyncRedisJSONDict) -> None:
    await d.set("run", {"log": [1], "é": "x" * 100_000})
    await d["run"]["log"].append(2)
    async with d.pipeline() as batch:
        batch["run"]["log"].append(3)
    await d["run"]["log"].reverse()
    assert await d["run"]["log"].get() == [3, 2, 1]
    assert [key async for key in d] == ["run"]
    await d.clear()


def use_both(url: str, **options: Any) -> None:
    """Use a blocking and an asyncio dict of a URL."""

    async def main() -> None:
        async with AsyncRedisJSONDict.from_url(url, "tls:", **options) as d:
            await ause(d)

    with RedisJSONDict.from_url(url, "tls:", **options) as d:
        use(d)
    asyncio.run(main())


def refused_both(url: str, **options: Any) -> list[str]:
    """Return what a blocking and an asyncio dict say that cannot connect."""

    async def main() -> None:
        async with AsyncRedisJSONDict.from_url(url, "tls:", **(ONCE | options)) as d:
            await d["run"]["log"].append(1)

    with (
        RedisJSONDict.from_url(url, "tls:", **(ONCE | options)) as d,
        pytest.raises((redis.ConnectionError, redis.TimeoutError)) as first,
    ):
        d.at("run", "log").append(1)
    with pytest.raises((redis.ConnectionError, redis.TimeoutError)) as second:
        asyncio.run(main())
    for caught in (first, second):
        assert any("nothing was sent" in note for note in caught.value.__notes__)
    return [str(first.value), str(second.value)]


@pytest.mark.parametrize("protocol", [2, 3])
def test_url_with_the_authority(place: Place, protocol: int) -> None:
    use_both(place.url, ssl_ca_certs=place.certificates.ca, protocol=protocol)


def test_url_that_names_the_authority(place: Place) -> None:
    use_both(f"{place.url}?ssl_ca_certs={quote(place.certificates.ca)}")


def test_client_of_the_user(place: Place) -> None:
    with redis.Redis(
        HOST, place.port, ssl=True, ssl_ca_certs=place.certificates.ca, decode_responses=True
    ) as client:
        use(RedisJSONDict(client, "tls:"))


def test_unknown_authority_is_refused(place: Place) -> None:
    for words in refused_both(place.url):
        assert "certificate verify failed" in words.lower()


def test_wrong_authority_is_refused(place: Place, strangers: Certificates) -> None:
    for words in refused_both(place.url, ssl_ca_certs=strangers.ca):
        assert "certificate verify failed" in words.lower()


def test_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    other = Certificates(tmp_path, "elsewhere.example.org")
    with Server() as server, Door(other, server.url) as door:
        for words in refused_both(f"rediss://{HOST}:{door.port}", ssl_ca_certs=other.ca):
            assert "certificate verify failed" in words.lower()


def test_client_certificate(strict: Place) -> None:
    files = strict.certificates
    use_both(
        strict.url,
        ssl_ca_certs=files.ca,
        ssl_certfile=files.client,
        ssl_keyfile=files.client_key,
    )


def test_client_without_a_certificate_is_refused(strict: Place) -> None:
    refused_both(strict.url, ssl_ca_certs=strict.certificates.ca)


def test_client_with_a_strange_certificate_is_refused(
    strict: Place, strangers: Certificates
) -> None:
    refused_both(
        strict.url,
        ssl_ca_certs=strict.certificates.ca,
        ssl_certfile=strangers.client,
        ssl_keyfile=strangers.client_key,
    )


def test_plain_client_at_a_port_with_tls(place: Place) -> None:
    refused_both(f"redis://{HOST}:{place.port}")


def test_client_with_tls_at_a_plain_port(certificates: Certificates) -> None:
    with Server(port=0) as server:
        refused_both(
            server.url.replace("redis:", "rediss:"),
            ssl_ca_certs=certificates.ca,
            socket_timeout=0.3,  # the server waits for the rest of what it takes for a command
            socket_connect_timeout=0.3,
        )


def test_name_and_password_of_any_characters(place: Place) -> None:
    """Percent-encoded in the URL, whichever way the server is reached."""
    with redis.Redis.from_url(place.plain_url) as root:
        rule = ("reset", "on", f">{PASSWORD}", "~*", "+@all")
        root.execute_command("ACL", "SETUSER", USER, *rule)
        use_both(
            place.url.replace("//", f"//{LOGIN}@"),
            ssl_ca_certs=place.certificates.ca,
        )
        use_both(place.plain_url.replace("//", f"//{LOGIN}@"))
        assert root.acl_whoami() == "default"


def test_password_of_any_characters_over_tcp() -> None:
    with Server(port=0) as server:
        root = server.client()
        root.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "+@all")
        root.config_set("requirepass", PASSWORD)
        use_both(server.url.replace("//", f"//{LOGIN}@"))
        use_both(server.url.replace("//", f"//:{quote(PASSWORD, safe='')}@"))
        use_both(server.url, username=USER, password=PASSWORD)


@pytest.fixture(scope="module", params=KINDS)
def cluster(certificates: Certificates, request: pytest.FixtureRequest) -> Iterator[Place]:
    """One node that serves all slots, and tells clients its port with TLS."""
    plain, bus = free_ports(2)
    options = {"cluster_enabled": "yes", "cluster_port": str(bus)}
    with contextlib.ExitStack() as stack:
        if request.param == "door":
            server = stack.enter_context(Server(port=plain, **options))
            port = stack.enter_context(Door(certificates, server.url)).port
            server.client().config_set("cluster-announce-port", port)
        else:
            server, port = start(certificates, tls_cluster="yes", **options)
            stack.enter_context(server)
        root = server.client()
        root.config_set("cluster-announce-ip", HOST)
        root.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until("a cluster", lambda: b"cluster_state:ok" in root.execute_command("CLUSTER", "INFO"))
        yield Place(port, certificates, server.url)


def test_cluster(cluster: Place) -> None:
    options = {"ssl_ca_certs": cluster.certificates.ca}

    async def main() -> None:
        async with redis.asyncio.RedisCluster.from_url(cluster.url, **options) as client:
            await ause(AsyncRedisJSONDict(client, "tls:"))

    with redis.RedisCluster.from_url(cluster.url, **options) as client:
        use(RedisJSONDict(client, "tls:"))
    asyncio.run(main())


def test_sentinel(certificates: Certificates, tmp_path: Path) -> None:
    """Sentinel and master both with TLS, each under its own login."""
    server, port = start(certificates)
    (watch,) = free_ports(1)
    login = {"username": USER, "password": PASSWORD}
    with server, server.client() as root:
        root.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "&*", "+@all")
        (tmp_path / "conf").write_text(
            f"port 0\ntls-port {watch}\nbind {HOST}\ntls-replication yes\n"
            f"tls-cert-file {certificates.server}\ntls-key-file {certificates.server_key}\n"
            f"tls-ca-cert-file {certificates.ca}\ntls-auth-clients no\n"
            f"dir {tmp_path}\nlogfile {tmp_path / 'log'}\n"
            f"sentinel monitor lab {HOST} {port} 1\nrequirepass door\n"
        )
        program = server._binary.program
        process = subprocess.Popen([program, tmp_path / "conf", "--sentinel"])
        try:
            tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": certificates.ca, **ONCE}
            sentinel = Sentinel([(HOST, watch)], sentinel_kwargs=tls | {"password": "door"})
            until("a master", lambda: sentinel.discover_master("lab"))
            client = sentinel.master_for("lab", **tls, **login)
            use(RedisJSONDict(client, "tls:"))
            for one in (client, *sentinel.sentinels):
                one.close()
        finally:
            process.terminate()
            process.wait(10)

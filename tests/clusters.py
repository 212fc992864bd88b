"""Real Redis Clusters and Sentinel set-ups on this machine, on loopback, gone when closed.

Made of the same programs as `redisjson_dict.server`, by commands alone: no redis-cli is needed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis
from closing import Closing
from redis.cluster import ClusterNode, RedisCluster
from redis.sentinel import Sentinel

from redisjson_dict import server
from redisjson_dict.server import Binary, Server, ServerError

__all__ = ["HOST", "LocalCluster", "LocalSentinel", "Moving", "Node", "free_ports", "kill", "until"]

HOST = "127.0.0.1"
SLOTS = 16_384
_PATIENCE = 30.0  # seconds for what the servers agree upon among themselves
_ATTEMPTS = 5  # a free port may be taken a moment later
_PERIODS = {"INFO": 200, "PING": 100, "PUBLISH": 200, "ASK": 100}  # milliseconds
_TIMEOUT = "1500"  # milliseconds until a silent node counts as failed


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]


def until(what: str, done: Callable[[], Any], patience: float = _PATIENCE) -> Any:
    """Ask until the answer is true, and return it; errors of the connection mean: not yet."""
    deadline = time.monotonic() + patience
    answer: Any = None
    while time.monotonic() < deadline:
        try:
            if answer := done():
                return answer
        except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError) as error:
            answer = error
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {patience:.0f} s, but {answer!r}")


def kill(one: Server) -> None:
    """End a server at once: it hands over nothing."""
    os.kill(one.pid, signal.SIGKILL)
    one.close()


def chosen() -> Binary:
    """Return the program to use: as REDISJSON_DICT_TEST_BINARY names it, or the first there is.

    Raises:
        ServerError: there is none.
    """
    wanted = os.environ.get("REDISJSON_DICT_TEST_BINARY")
    return next((b for b in server.binaries() if b.name == wanted), None) or server._first()


class Node:
    """One server of a cluster, with a plain client that follows no redirection."""

    def __init__(self, binary: Binary, **options: str) -> None:
        for attempt in range(_ATTEMPTS):
            self.port, self.bus = free_ports(2)  # the usual bus, port + 10000, may be above 65535
            try:
                self.server = Server(
                    port=self.port, binary=binary, cluster_port=str(self.bus), **options
                )
                break
            except ServerError:
                if attempt == _ATTEMPTS - 1:
                    raise
        self.client = self.server.client(retry=None, decode_responses=True)
        self.id: str = self.client.execute_command("CLUSTER MYID")

    def __repr__(self) -> str:
        return f"<Node {self.port}>"

    def run(self, *command: Any) -> Any:
        return self.client.execute_command(*command)

    @property
    def is_primary(self) -> bool:
        return self.run("ROLE")[0] == "master"

    def state(self) -> dict[str, str]:
        """Return CLUSTER INFO."""
        return dict(line.split(":", 1) for line in self._raw("CLUSTER", "INFO").splitlines())

    def owners(self) -> dict[tuple[int, int], tuple[str, ...]]:
        """Return who serves which range of slots, as this node sees it: ids, the primary first."""
        return {
            (first, last): tuple([nodes[0][2], *sorted(n[2] for n in nodes[1:])])
            for first, last, *nodes in self._raw("CLUSTER", "SLOTS")
        }

    def _raw(self, *command: Any) -> Any:
        pool = self.client.connection_pool
        connection = pool.get_connection()
        try:
            connection.send_command(*command)
            return connection.read_response()
        finally:
            pool.release(connection)


class Moving:
    """A slot on its way from one node to another: keys are on either side."""

    def __init__(self, cluster: LocalCluster, slot: int, source: Node, target: Node) -> None:
        self.cluster, self.slot, self.source, self.target = cluster, slot, source, target

    def keys(self, count: int = 10_000) -> list[str]:
        """Return keys that have not moved yet."""
        return self.source.run("CLUSTER", "GETKEYSINSLOT", self.slot, count)

    def move(self, *keys: str) -> None:
        self.source.run("MIGRATE", HOST, self.target.port, "", 0, 5000, "KEYS", *keys)

    def move_all(self, pause: float = 0.0, at_once: int = 10) -> None:
        while keys := self.keys(at_once):
            self.move(*keys)
            time.sleep(pause)

    def begin(self) -> None:
        self.target.run("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.source.id)
        self.source.run("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.target.id)

    def end(self) -> None:
        self.move_all()
        others = [n for n in self.cluster.primaries() if n not in (self.source, self.target)]
        for node in (self.target, self.source, *others):
            node.run("CLUSTER", "SETSLOT", self.slot, "NODE", self.target.id)
        self.cluster.settle()


class LocalCluster(Closing):
    """A Redis Cluster of real servers.

    Args:
        primaries: how many; they share the slots evenly.
        replicas: how many primaries, from the first, have a replica.
        binary: which server; None for the first there is.

    Raises:
        ServerError: no binary fits this machine.
    """

    def __init__(self, primaries: int = 3, replicas: int = 0, binary: Binary | None = None) -> None:
        self._binary = binary or chosen()
        self._stack = contextlib.ExitStack()
        self.nodes: list[Node] = []
        try:
            for _ in range(primaries + replicas):
                self._launch()
            self._assign(self.nodes[:primaries])
            self._meet(self.nodes)
            for primary, replica in zip(self.nodes, self.nodes[primaries:], strict=False):
                until("known", lambda p=primary, r=replica: p.id in r._raw("CLUSTER", "NODES"))
                replica.run("CLUSTER", "REPLICATE", primary.id)
            self.settle()
        except BaseException:
            self.close()
            raise

    def client(self, **options: Any) -> RedisCluster:
        """Return a client of the whole cluster; `close` closes it, too."""
        client = RedisCluster(host=HOST, port=self.primaries()[0].port, **options)
        self._stack.callback(client.close)
        return client

    @property
    def startup(self) -> list[ClusterNode]:
        return [ClusterNode(HOST, node.port) for node in self.nodes]

    def primaries(self) -> list[Node]:
        return [node for node in self.nodes if node.server.running and node.is_primary]

    def owner(self, slot: int) -> Node:
        """Return the primary that serves a slot."""
        for (first, last), ids in self.primaries()[0].owners().items():
            if first <= slot <= last:
                return next(node for node in self.nodes if node.id == ids[0])
        raise AssertionError(f"nobody serves the slot {slot}")

    def replica_of(self, primary: Node) -> Node | None:
        for ids in primary.owners().values():
            if ids[0] == primary.id and len(ids) > 1:
                return next(node for node in self.nodes if node.id == ids[1])
        return None

    def add(self) -> Node:
        """Return another primary, which serves no slot yet."""
        node = self._launch()
        self._meet(self.nodes)
        self.settle()
        return node

    @contextlib.contextmanager
    def moving(self, slot: int, target: Node | None = None) -> Iterator[Moving]:
        """Move a slot: it is on its way during the block, at its target after it."""
        source = self.owner(slot)
        target = target or next(n for n in self.primaries() if n is not source)
        moving = Moving(self, slot, source, target)
        moving.begin()
        try:
            yield moving
        finally:
            moving.end()

    def fail_over(self, replica: Node) -> None:
        """Let a replica take over from its primary, which is well."""
        replica.run("CLUSTER", "FAILOVER")
        until("the replica takes over", lambda: replica.is_primary)
        self.settle()
        # A node that tries again within six seconds is refused by the others.
        assert replica.is_primary, "the others did not accept the new primary"

    def settle(self) -> None:
        """Wait until all nodes agree on who serves what, and the replicas have caught up."""
        until("the cluster agrees", self._agrees)

    def close(self) -> None:
        self._stack.close()

    def _launch(self) -> Node:
        node = Node(
            self._binary,
            cluster_enabled="yes",
            cluster_node_timeout=_TIMEOUT,
            cluster_replica_validity_factor="0",
            repl_diskless_sync_delay="0",
            repl_ping_replica_period="1",  # CLUSTER SLOTS hides a replica that has heard nothing
        )
        self._stack.callback(node.server.close)
        node.run("CLUSTER", "SET-CONFIG-EPOCH", len(self.nodes) + 1)
        self.nodes.append(node)
        return node

    @staticmethod
    def _assign(primaries: list[Node]) -> None:
        edges = [SLOTS * number // len(primaries) for number in range(len(primaries) + 1)]
        for node, first, last in zip(primaries, edges, edges[1:], strict=False):
            node.run("CLUSTER", "ADDSLOTSRANGE", first, last - 1)

    @staticmethod
    def _meet(nodes: list[Node]) -> None:
        for node in nodes:
            for other in nodes:
                if other is not node and other.id not in node._raw("CLUSTER", "NODES"):
                    node.run("CLUSTER", "MEET", HOST, other.port, other.bus)

    def _agrees(self) -> bool:
        nodes = [node for node in self.nodes if node.server.running]
        views = [node.owners() for node in nodes]
        alive = [node.state() for node in nodes]
        roles = [node.run("ROLE") for node in nodes]
        synced = [role[3] == "connected" for role in roles if role[0] != "master"]
        replicas = {replica for ids in views[0].values() for replica in ids[1:]}
        return (
            all(view == views[0] for view in views)
            and len(replicas) == len(synced)
            and all(state["cluster_state"] == "ok" for state in alive)
            and all(int(state["cluster_known_nodes"]) == len(self.nodes) for state in alive)
            and all(synced)
        )


class LocalSentinel(Closing):
    """A master, its replica, and sentinels that watch them, all real.

    Args:
        sentinels: how many; more than half of them must agree.
        binary: which server; None for the first there is.

    Raises:
        ServerError: no binary fits this machine.
    """

    name = "lab"

    def __init__(self, sentinels: int = 3, binary: Binary | None = None) -> None:
        self._binary = binary or chosen()
        self._stack = contextlib.ExitStack()
        self.ports: list[int] = []
        self._quorum = sentinels // 2 + 1
        try:
            self.servers = [self._server(0) for _ in range(2)]
            self._replicate(self.servers[1], self.servers[0])
            for _ in range(sentinels):
                self._watch()
            self.settle()
        except BaseException:
            self.close()
            raise

    def sentinel(self, **options: Any) -> Sentinel:
        """Return a client of the sentinels."""
        found = Sentinel([(HOST, port) for port in self.ports], **options)
        for client in found.sentinels:
            self._stack.callback(client.close)
        return found

    @property
    def master(self) -> Server:
        """The server that is the master now, or will be in a moment."""

        def found() -> Server | None:
            running = [one for one in self.servers if one.running]
            return next((one for one in running if self._role(one) == "master"), None)

        return until("there is a master", found)

    def fail_over(self) -> None:
        """Have the sentinels make the replica the master, though the master is well."""
        old = self.master
        self._ask("SENTINEL", "FAILOVER", self.name)
        until("another master", lambda: self.address() != _port(old))

    def kill(self) -> None:
        """End the master at once."""
        kill(self.master)

    def heal(self) -> None:
        """Start again what was killed, as a replica, at its old port."""
        for number, one in enumerate(self.servers):
            if not one.running:
                master = self.master  # found first: a fresh server calls itself one, too
                self.servers[number] = self._server(_port(one))
                self._replicate(self.servers[number], master)
        self.settle()

    def address(self) -> int:
        """Return the port that the sentinels tell for the master."""
        return int(self._ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1])

    def settle(self) -> None:
        """Wait until the sentinels know everything and the replica has caught up."""
        until("the sentinels agree", self._agrees)

    def close(self) -> None:
        self._stack.close()

    def _server(self, port: int) -> Server:
        made = Server(port=port, binary=self._binary, repl_diskless_sync_delay="0")
        self._stack.callback(made.close)
        return made

    @staticmethod
    def _replicate(replica: Server, master: Server) -> None:
        with redis.Redis.from_url(replica.url) as client:
            client.execute_command("REPLICAOF", HOST, _port(master))

    @staticmethod
    def _role(one: Server) -> str:
        with redis.Redis.from_url(one.url, decode_responses=True) as client:
            return str(client.execute_command("ROLE")[0])

    def _watch(self) -> None:
        home = Path(tempfile.mkdtemp(prefix="rjd-sentinel-"))
        self._stack.callback(shutil.rmtree, home, ignore_errors=True)
        often = [word for what, ms in _PERIODS.items() for word in (f"{what}-PERIOD", ms)]
        for attempt in range(_ATTEMPTS):
            (port,) = free_ports(1)
            (home / "conf").write_text(
                f"port {port}\nbind {HOST}\ndir {home}\nlogfile {home / 'log'}\n"
                f"sentinel monitor {self.name} {HOST} {_port(self.servers[0])} {self._quorum}\n"
                f"sentinel down-after-milliseconds {self.name} 500\n"
                f"sentinel failover-timeout {self.name} 1500\n"
            )
            command = [self._binary.program, home / "conf", "--sentinel"]
            process = subprocess.Popen(
                ["/bin/sh", "-c", server._WATCHDOG, "sh", home, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._stack.callback(Server._stop, process)
            with redis.Redis(HOST, port, retry=None) as client:
                try:
                    until("a sentinel answers", client.ping, 5)
                    client.execute_command("SENTINEL", "DEBUG", *often)
                except AssertionError:
                    if attempt == _ATTEMPTS - 1:
                        raise
                else:
                    self.ports.append(port)
                    return

    def _ask(self, *command: Any, port: int | None = None) -> Any:
        with redis.Redis(HOST, port or self.ports[0], decode_responses=True) as client:
            return client.execute_command(*command)

    def _agrees(self) -> bool:
        if sorted(map(self._role, self.servers)) != ["master", "slave"]:
            return False
        master, replica = sorted(self.servers, key=self._role)
        with redis.Redis.from_url(replica.url, decode_responses=True) as client:
            role, _, port, state, *_ = client.execute_command("ROLE")
        if (role, port, state) != ("slave", _port(master), "connected"):
            return False
        for sentinel in self.ports:
            with redis.Redis(HOST, sentinel, decode_responses=True) as client:
                told = client.sentinel_master(self.name)
                seen = client.sentinel_slaves(self.name)
            others = len(self.ports) - 1
            if (told["port"], told["num-other-sentinels"]) != (_port(master), others):
                return False
            if told["is_sdown"] or told["is_odown"]:
                return False
            if [(s["port"], s["is_sdown"], s["master-link-status"]) for s in seen] != [
                (_port(replica), False, "ok")
            ]:
                return False
        return True


def _port(one: Server) -> int:
    return int(one.url.rpartition(":")[2])

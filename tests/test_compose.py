"""What `docker compose up` would start, read from the file; no Docker engine is needed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from redisjson_dict.server import Server, binaries

COMPOSE: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[1] / "docker-compose.yml").read_text(encoding="utf-8")
)
SERVICES: dict[str, Any] = COMPOSE["services"]
SERVERS = ("redis", "redis-stack")


def test_services_and_images():
    images = {name: service["image"].rsplit(":", 1)[0] for name, service in SERVICES.items()}

    assert images == {
        "redis": "redis",
        "redis-stack": "redis/redis-stack-server",
        "insight": "redis/redisinsight",
    }
    assert SERVICES["redis"]["image"] == "redis:8"


def test_only_redis_starts_without_a_profile():
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}

    assert profiles == {"redis": [], "redis-stack": ["stack"], "insight": ["insight"]}


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_bound_to_loopback(name):
    ports = SERVICES[name]["ports"]

    assert ports
    assert all(isinstance(port, str) and port.startswith("127.0.0.1:") for port in ports)


def test_default_ports_differ():
    ports = [port for service in SERVICES.values() for port in service["ports"]]

    assert len({port.split(":-")[1].split("}")[0] for port in ports}) == len(ports)


@pytest.mark.parametrize("name", SERVICES)
def test_data_are_in_a_named_volume(name):
    volumes = [volume.split(":") for volume in SERVICES[name]["volumes"]]

    assert [target for _, target in volumes] == ["/data"]
    assert all(source in COMPOSE["volumes"] for source, _ in volumes)


@pytest.mark.parametrize("name", SERVICES)
def test_healthcheck_is_complete(name):
    check = SERVICES[name]["healthcheck"]

    assert set(check) == {"test", "interval", "timeout", "retries"}
    assert check["test"][0] == "CMD-SHELL"


@pytest.mark.parametrize("name", SERVERS)
def test_servers_write_to_disk(name):
    service = SERVICES[name]
    arguments = " ".join(service.get("command", [])) or service["environment"]["REDIS_ARGS"]

    assert "--appendonly yes" in arguments


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(("command", "status"), [("JSON.GET", 0), ("JSON.NOSUCH", 1)])
def test_healthcheck_asks_for_the_json_commands(name, command, status):
    """The check's own shell line, on a server that has JSON: true for it, false for a stranger."""
    if not shutil.which("redis-cli") or not binaries():
        pytest.skip("needs redis-cli and an embedded server")
    line = SERVICES[name]["healthcheck"]["test"][1]
    with Server(port=0) as server:
        port = server.url.rsplit(":", 1)[1]
        line = line.replace("redis-cli", f"redis-cli -p {port}")
        line = line.replace("JSON.GET", command).replace("json.get", command.lower())

        assert subprocess.run(["/bin/sh", "-c", line]).returncode == status

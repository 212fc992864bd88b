"""The workflow of the hosted runners, the classifiers, the compose file and make agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOW: dict[Any, Any] = yaml.safe_load(
    (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(
    (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
)["services"]


def _commands(job: str) -> list[str]:
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def _images() -> list[str]:
    images: list[str] = JOBS["server"]["strategy"]["matrix"]["image"]
    return images


def _pythons() -> list[str]:
    pythons: list[str] = JOBS["check"]["strategy"]["matrix"]["python"]
    return pythons


def test_every_python_of_the_classifiers_is_checked():
    prefix = "Programming Language :: Python :: "
    classified = [name.removeprefix(prefix) for name in PROJECT["classifiers"] if prefix in name]

    assert _pythons() == [name for name in classified if re.fullmatch(r"\d+\.\d+", name)]


def test_first_python_is_the_one_required():
    assert PROJECT["requires-python"] == f">={_pythons()[0]}"


def test_images_are_those_of_the_compose_file():
    composed = {SERVICES[name]["image"] for name in ("redis", "redis-stack")}

    assert composed <= set(_images())
    assert {image.rpartition(":")[0] for image in _images()} == {
        image.rpartition(":")[0] for image in composed
    }


def test_oldest_supported_stack_is_tested():
    assert any(image.startswith("redis/redis-stack-server:7.2") for image in _images())


def test_health_is_what_the_compose_file_asks():
    line = SERVICES["redis"]["healthcheck"]["test"][1]

    assert line in JOBS["server"]["services"]["server"]["options"]


def test_server_is_the_one_that_the_tests_take():
    server = JOBS["server"]

    assert server["env"] == {"REDISJSON_DICT_TEST_URL": "redis://127.0.0.1:6379"}
    assert server["services"]["server"]["ports"] == ["6379:6379"]


def test_check_is_what_ci_run_does():
    assert _commands("check")[-1] == ".ci/run"
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == "make check"


@pytest.mark.parametrize("job", JOBS)
def test_make_has_the_targets(job):
    targets = [target for line in _commands(job) for target in re.findall(r"make (\S+)", line)]

    assert all(re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) for target in targets)


def test_make_check_builds_the_pages_after_the_tests():
    found = re.search(r"^check: (.*)$", MAKEFILE, re.MULTILINE)

    assert found is not None
    assert found[1].split()[-2:] == ["test", "docs"]


@pytest.mark.parametrize("job", JOBS)
def test_jobs_end_and_may_only_read(job):
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in JOBS[job]
    assert JOBS[job]["timeout-minutes"] <= 30


def test_help_names_every_target():
    named = set(
        re.findall(r"make ([\w-]+)", MAKEFILE.partition("\nhelp:\n")[2].partition("\n\n")[0])
    )
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)

    assert phony is not None
    assert set(phony[1].split()) - named <= {"help", "lint", "types"}

"""Whether an installed package works; run by an empty environment, for dist_check.py."""

import asyncio
import subprocess
import sys
from importlib.metadata import distribution, entry_points
from importlib.resources import files
from pathlib import Path

import redisjson_dict
from redisjson_dict import RedisJSONDict
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict
from redisjson_dict.server import Server


def check(fact: str, holds: bool) -> None:
    """Say whether a fact holds; end with the first that does not."""
    print(f"    {'ok' if holds else 'FAILED'}: {fact}")
    if not holds:
        sys.exit(1)


async def awaited(url: str) -> object:
    async with AsyncRedisJSONDict.from_url(url, "smoke:") as d:
        await d["run"]["log"].append(2)
        return await d["run"].get()


def main(version: str, scripts: int) -> None:
    home = Path(redisjson_dict.__file__).parent
    check(f"imported from the environment, {home.parent.name}", home.is_relative_to(sys.prefix))
    check(f"version {version}", distribution("redisjson-dict").version == version)
    check("py.typed is there", files("redisjson_dict").joinpath("py.typed").is_file())
    check(f"{scripts} Lua files are there", len(list(home.glob("scripts/*.lua"))) == scripts)

    with Server() as server:
        d = RedisJSONDict(server.client(), prefix="smoke:")
        d["run"] = {"log": [], "count": 0}
        d["run"]["log"].append(1)
        with d.pipeline() as batch:
            count = batch["run"].incr("count")
        check("a dict on the embedded server", count.result() == d["run", "count"] == 1)
        plain = {"log": [1, 2], "count": 1}
        check("the same with asyncio", asyncio.run(awaited(server.url)) == plain)

    commands = entry_points(group="console_scripts").select(name="redisjson-dict")
    for command in commands:
        program = Path(sys.executable).parent / command.name
        done = subprocess.run([program, "--help"], capture_output=True, text=True)
        check(f"{command.name} --help", done.returncode == 0 and "sage" in done.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

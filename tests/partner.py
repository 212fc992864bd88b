"""The Node program of `tests/node`, started for a test: installed once, asked line by line."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

HOME = Path(__file__).parent / "node"
_INSTALLED = HOME / "node_modules" / ".package-lock.json"
_LOCK = HOME / "package-lock.json"


class Unavailable(Exception):
    """There is no Node with its packages; the message says why."""


def install() -> None:
    """Bring the packages of the lock file, unless they are there.

    Raises:
        Unavailable: no Node, no npm, or npm could not install.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Unavailable(f"{program} is not installed")
    if _INSTALLED.exists() and _INSTALLED.stat().st_mtime >= _LOCK.stat().st_mtime:
        return
    try:
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts"], cwd=HOME, capture_output=True, timeout=120
        )
    except subprocess.TimeoutExpired:
        raise Unavailable("npm ci did not end within 120 s") from None
    if done.returncode:
        raise Unavailable(f"npm ci failed: {done.stderr.decode(errors='replace').strip()[-300:]}")


class Partner:
    """The other program, connected to a server.

    Args:
        url: the server's, over TCP.
    """

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            ["node", "partner.js", url],
            cwd=HOME,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def tell(self, verb: str, *arguments: Any) -> None:
        """Ask for something whose answer is fetched later."""
        assert self._process.stdin is not None
        print(
            json.dumps({"verb": verb, "arguments": arguments}), file=self._process.stdin, flush=True
        )

    def answer(self) -> Any:
        """Return the next answer.

        Raises:
            RuntimeError: it was an error; says which.
        """
        assert self._process.stdout is not None
        reply = json.loads(self._process.stdout.readline())
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["result"]

    def __call__(self, verb: str, *arguments: Any) -> Any:
        """Ask, and return the answer."""
        self.tell(verb, *arguments)
        return self.answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()


def place(*steps: str | int) -> dict[str, list[str | int]]:
    """Return what the partner spells as a path."""
    return {"at": list(steps)}

"""Fuzz one target with atheris: ``python tests/reliability/fuzz TARGET [libFuzzer options]``."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent))

with atheris.instrument_imports(include=["redisjson_dict"]):
    from fuzz.targets import NAMES, PURE, Targets

    from redisjson_dict.server import Server


def main() -> None:
    """Run until libFuzzer's options say to stop, or a promise is broken."""
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in NAMES:
        sys.exit(f"which target? one of {', '.join(NAMES)}")
    if name in PURE:
        target = PURE[name]
    else:
        server = Server()
        target = getattr(Targets(server.url), name)
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


main()

"""`redisjson-dict` and `python -m redisjson_dict`: the command line, if its extra is there."""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Run the command line; exits with one of the codes in ``docs/cli.md``."""
    if any(find_spec(name) is None for name in ("typer", "rich")):
        print(
            "redisjson-dict: the command line needs more packages: "
            "pip install 'redisjson-dict[cli]'",
            file=sys.stderr,
        )
        sys.exit(1)
    from redisjson_dict.cli.app import app

    if isinstance(sys.stdout.buffer, io.RawIOBase):  # PYTHONUNBUFFERED: one write may be cut short
        whole = open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False)  # noqa: SIM115  open to the end
        sys.stdout = whole
    app(prog_name="redisjson-dict")


if __name__ == "__main__":
    main()

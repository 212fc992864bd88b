"""How commands show what they take: values by name, flags without one."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

__all__ = ["Command", "unvalued"]

_NEEDED = re.compile(r"\{(.*)\}(\.\.\.)?")  # typer's spelling; the names here tell what repeats


class Command(TyperCommand):
    """A command whose help is spelled as in ``docs/cli.md``: ``get [OPTIONS] KEY [PATH]...``."""

    def get_params(self, ctx: Any) -> Any:
        """Return all options and arguments."""
        return unvalued(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line."""
        return [_NEEDED.sub(r"\1", piece) for piece in super().collect_usage_pieces(ctx)]


def unvalued(params: Any) -> Any:
    """Return options and arguments; a flag has nothing in the column of values."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params

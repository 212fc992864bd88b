"""How live values look, and complete: in a console, a debugger, IPython, a notebook, or by rich.

All of it comes from one bounded look, see `preview`. It never raises for what the server, the
connection or the document is like: it says so in the place of the content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisClusterException, RedisError

from redisjson_dict.errors import RedisJSONDictError, StaleLocationError

if TYPE_CHECKING:
    from redisjson_dict.preview import View

__all__ = ["Completed", "Displayed"]

_TROUBLES = (RedisError, RedisClusterException, RedisJSONDictError, OSError)
_WIDTH = 79


class Displayed:
    """What is shown of a live value. Cost: one bounded look each time, nothing is kept."""

    __slots__ = ()

    def _look(self) -> View:
        """Read what is to be shown."""
        raise NotImplementedError

    def _whereabouts(self) -> str:
        """Return where it is, in words that are no secret."""
        raise NotImplementedError

    def _view(self) -> View:
        """Return what is shown, or why there is nothing; of an error the class only."""
        from redisjson_dict.preview import Note

        name, place = type(self).__name__, self._whereabouts()
        try:
            return self._look()
        except StaleLocationError:
            return Note(f"<stale {name}: {place}>")
        except _TROUBLES as error:  # its text might tell what nobody should see, as a URL
            return Note(f"<{name} {place}: {type(error).__name__}>")

    def __repr__(self) -> str:
        from redisjson_dict import layout

        return layout.line(self._view())

    def __rich_repr__(self) -> Iterator[Any]:
        """Yield what rich prints, as plain data."""
        from redisjson_dict import layout

        yield layout.marked(self._view())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print on several lines, for IPython."""
        from redisjson_dict import layout

        width = printer.max_width - printer.indentation
        first, *others = layout.block(self._view(), width).split("\n")
        printer.text(first)
        for text in others:
            printer.break_()
            printer.text(text)

    def _repr_html_(self) -> str:
        """Return a tree that folds, for notebooks."""
        return self._tree(self._view())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return text and tree of one look, for IPython: else it would ask for each."""
        from redisjson_dict import layout

        view = self._view()
        return {"text/plain": layout.block(view, _WIDTH), "text/html": self._tree(view)}

    def _tree(self, view: View) -> str:
        from redisjson_dict import html  # loads the standard library's, which takes long

        return html.tree(f"{type(self).__name__} {self._whereabouts()}", view)


class Completed:
    """What IPython completes between brackets. Cost: one bounded look each time."""

    __slots__ = ()

    def _names_at_hand(self) -> list[str]:
        """Read the names, as far as that is cheap."""
        raise NotImplementedError

    def _ipython_key_completions_(self) -> list[str]:
        try:
            return self._names_at_hand()
        except _TROUBLES:
            return []

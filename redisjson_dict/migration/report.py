"""What became of a migration: counts, samples, and what was not carried, with reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["OUTCOMES", "Problem", "Report"]

_SAMPLES = 5
_SAMPLE_CHARACTERS = 120
_PROBLEMS = 10_000
_KEYS = 3  # named of those that have the same reason

OUTCOMES = {
    "carried": "carried",
    "replaced": "carried, in place of another document",
    "same": "there already, the same",
    "expired": "expired meanwhile",
    "conflict": "left alone: another document is there",
    "refused": "not carried: no value that can be stored",
    "changed": "carried, but something else was read back",
    "foreign": "not the old program's data",
}
"""The outcomes that there are, in words."""

_BAD = ("conflict", "refused", "changed")


class Problem(NamedTuple):
    """One thing that was not carried.

    Attributes:
        key: its name, without a prefix.
        outcome: one of `OUTCOMES`.
        kind: the type that it has.
        why: for a person.
    """

    key: str
    outcome: str
    kind: str
    why: str


@dataclass(slots=True)
class Report:
    """What became of a migration, or with `dry_run` what would.

    Attributes:
        source: what was read.
        prefix: under which it was stored.
        dry_run: whether nothing was written.
        counts: how many items had each of `OUTCOMES`.
        kinds: how many of what was carried had each type, such as ``dict`` or ``tuple``.
        converted: how many values of each type were converted, at any depth.
        samples: the first few that were carried: name and JSON, shortened.
        problems: what was not carried, up to 10,000 of each outcome.
        omitted: how many more there were.
        hint: where nothing was read, what that may come from; else empty.
    """

    source: str
    prefix: str
    dry_run: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    converted: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    omitted: int = 0
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether all but keys of foreign types is there now, or would be; nothing may be all."""
        return not any(self.counts[outcome] for outcome in _BAD)

    @property
    def seen(self) -> int:
        """How many items were read."""
        return self.counts.total()

    def add(self, outcome: str, name: str, kind: str, text: bytes) -> None:
        """Count what is there now.

        Args:
            outcome: one of `OUTCOMES`.
            name: of the document.
            kind: the type that it had.
            text: its JSON.
        """
        self.counts[outcome] += 1
        if outcome not in ("carried", "replaced"):
            return
        self.kinds[kind] += 1
        if len(self.samples) < _SAMPLES:
            self.samples.append((name, _short(text)))

    def complain(self, problem: Problem) -> None:
        """Count what was not carried."""
        self.counts[problem.outcome] += 1
        if self.counts[problem.outcome] <= _PROBLEMS:
            self.problems.append(problem)
        else:
            self.omitted += 1

    def to_python(self) -> dict[str, Any]:
        """Return all of it as plain data, for `json.dumps`."""
        return {
            "ok": self.ok,
            "source": self.source,
            "prefix": self.prefix,
            "dry_run": self.dry_run,
            "seen": self.seen,
            "counts": {outcome: self.counts[outcome] for outcome in OUTCOMES},
            "kinds": dict(self.kinds),
            "converted": dict(self.converted),
            "samples": [{"key": key, "json": text} for key, text in self.samples],
            "problems": [problem._asdict() for problem in self.problems],
            "omitted": self.omitted,
            "hint": self.hint,
        }

    def lines(self, most: int = 20) -> Iterator[str]:
        """Return all of it in words, line by line.

        Args:
            most: how many different reasons are shown, each with the first few keys.
        """
        yield f"From {self.source} to {self.prefix!r}..." + (
            ": what would be done; nothing was written" if self.dry_run else ""
        )
        yield f"{self.seen:>8}  read"
        if self.hint:
            yield self.hint
        yield from (
            f"{self.counts[o]:>8}  {text}" for o, text in OUTCOMES.items() if self.counts[o]
        )
        for title, counts in (("Types carried", self.kinds), ("Converted", self.converted)):
            if counts:
                yield f"{title}: " + ", ".join(f"{n} {kind}" for kind, n in counts.most_common())
        if self.samples and self.dry_run:
            yield "For example:"
            yield from (f"  {name!r}: {text}" for name, text in self.samples)
        yield from self._problem_lines(most)

    def _problem_lines(self, most: int) -> Iterator[str]:
        groups: dict[tuple[bool, str, str], list[str]] = {}
        for problem in sorted(self.problems, key=lambda one: one.outcome not in _BAD):
            about = (problem.outcome in _BAD, problem.kind, problem.why)
            groups.setdefault(about, []).append(problem.key)
        title = ""
        for (bad, kind, why), keys in list(groups.items())[:most]:
            heading = "Not carried:" if bad else "Not the old program's data, left alone:"
            if heading != title:
                yield (title := heading)
            yield f"  {_few(keys)} ({kind}): {why}"
        rest = sum(map(len, list(groups.values())[most:])) + self.omitted
        if rest:
            yield f"  and {rest} more"


def _few(keys: list[str]) -> str:
    """Return the first of some keys, and how many there are besides."""
    shown = ", ".join(map(repr, keys[:_KEYS]))
    return shown if len(keys) <= _KEYS else f"{shown} and {len(keys) - _KEYS:,} more"


def _short(text: bytes) -> str:
    """Return the beginning of a text, which may be large."""
    beginning = text[: 4 * _SAMPLE_CHARACTERS].decode(errors="ignore")[:_SAMPLE_CHARACTERS]
    return beginning if len(beginning.encode()) == len(text) else f"{beginning}..."

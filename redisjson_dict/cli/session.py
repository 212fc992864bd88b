"""The server, the prefix and the form of output that a command was asked for."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from typing import Annotated, Any, NamedTuple, get_type_hints

import redis
import typer
from redis.exceptions import ResponseError

from redisjson_dict import urls
from redisjson_dict.cli.console import Code, Problem
from redisjson_dict.containers import show
from redisjson_dict.exchange import slot_of
from redisjson_dict.execute import Blocking
from redisjson_dict.keyspace import Keyspace
from redisjson_dict.location import Location, Settings
from redisjson_dict.mapping import RedisJSONDict
from redisjson_dict.references import Reference

__all__ = [
    "IN_CLUSTER",
    "AsJson",
    "OnCluster",
    "Options",
    "Prefix",
    "Session",
    "Url",
    "connected",
    "paired",
    "shared",
    "text",
]

IN_CLUSTER = "this server is a node of a Cluster and has a part of the documents: pass --cluster"

_URL = "redis://localhost:6379"
_SOCKET_SECONDS = 60.0  # a large document takes a server longer than redis-py waits
_CONNECT_SECONDS = 5.0

Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help=f"The server; else REDIS_URL, else {_URL}.", show_default=False
    ),
]
Prefix = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Put in front of every key; else REDISJSON_DICT_PREFIX, else nothing.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool | None,
    typer.Option("--json/--text", help="Output for programs, or for people.", show_default=False),
]
OnCluster = Annotated[
    bool | None,
    typer.Option(
        "--cluster/--single", help="The URL is that of a node of a Cluster.", show_default=False
    ),
]


class Options(NamedTuple):
    """What the options that all commands share say; None: nothing."""

    url: str | None = None
    prefix: str | None = None
    as_json: bool | None = None
    cluster: bool | None = None


_SHARED = {"url": Url, "prefix": Prefix, "as_json": AsJson, "cluster": OnCluster}


class Session:
    """One command's view of a server. Connects when something is asked of it."""

    def __init__(self, options: Options) -> None:
        self.url = options.url or os.environ.get("REDIS_URL") or _URL
        prefix = options.prefix
        self.prefix = os.environ.get("REDISJSON_DICT_PREFIX", "") if prefix is None else prefix
        self.as_json = bool(options.as_json)
        self.cluster = bool(options.cluster)

    @cached_property
    def client(self) -> redis.Redis:
        """A client of this session's own.

        Raises:
            Problem: the URL is malformed.
        """
        try:
            urls.check(self.url)
            kind: Any = redis.RedisCluster if self.cluster else redis.Redis
            client: redis.Redis = kind.from_url(
                self.url, socket_timeout=_SOCKET_SECONDS, socket_connect_timeout=_CONNECT_SECONDS
            )
        except ValueError as error:
            what = str(error).partition(". It is not shown")[0]
            raise Problem(
                f"{what}. A URL is redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss:// for "
                "TLS, unix:// for a socket; special characters of a password are percent-encoded",
                Code.USAGE,
            ) from error
        return client

    @cached_property
    def documents(self) -> RedisJSONDict:
        """The documents under the prefix."""
        return RedisJSONDict(self.client, self.prefix)

    @cached_property
    def run(self) -> Blocking:
        """What runs a verb on the server."""
        return Blocking(self.client, show, Reference)

    @cached_property
    def space(self) -> Keyspace:
        """From keys to places and back."""
        return Keyspace(self.prefix, Settings(), slot_of(self.client))

    def place(self, name: str, milliseconds: int | None = None) -> Location:
        """Return the place of a document, with the time to live for when it is assigned."""
        if milliseconds is None:
            return self.space.document(name)
        text = b"%d" % milliseconds
        settings = Settings(lifetime=lambda: text)
        return Keyspace(self.prefix, settings, slot_of(self.client)).document(name)

    def ask(self, keys: list[bytes], *commands: tuple[Any, ...]) -> list[list[Any]]:
        """Ask several commands of each key, in one round trip; an error is an answer.

        Args:
            keys: Redis keys.
            commands: each is completed by the key in the place of None.
        """
        with self.client.pipeline(transaction=False) as pipe:
            queue: Any = pipe.execute_command  # redis-py does not say what it takes
            for key in keys:
                for command in commands:
                    queue(*[key if word is None else word for word in command])
            answers = pipe.execute(raise_on_error=False)
        return [answers[i : i + len(commands)] for i in range(0, len(answers), len(commands))]

    def hello(self) -> dict[str, Any]:
        """Return what every user may ask of a server; on a Cluster, of some node.

        Nothing, where a proxy stands in front that does not know the command.
        """
        client: Any = self.client  # redis-py does not say what these take
        options = {"target_nodes": client.get_random_node()} if self.cluster else {}
        try:
            return paired(client.execute_command("HELLO", **options))
        except ResponseError:
            return {}

    def all_nodes(self) -> None:
        """Make sure that a walk finds all documents.

        Raises:
            Problem: the server is one of a Cluster, and was not said to be.
        """
        if not self.cluster and text(self.hello().get("mode", b"")) == "cluster":
            raise Problem(IN_CLUSTER, Code.USAGE)

    def close(self) -> None:
        """Close the client, if there is one."""
        if "client" in self.__dict__:
            self.client.close()


def paired(reply: Any) -> dict[str, Any]:
    """Return a reply that is a map, which RESP 2 sends as a list."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {text(name): value for name, value in pairs}


def text(value: Any) -> str:
    """Return a name or a setting as str."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def shared(context: typer.Context, given: Options) -> Options:
    """Return options as given after the command's name, else as given before it."""
    before: Options = context.find_root().obj or Options()
    return before._replace(**{n: v for n, v in given._asdict().items() if v is not None})


@contextmanager
def _missing_told(session: Session) -> Iterator[None]:
    """Have what is not found say whether it is the document. Cost: one round trip, then only."""
    try:
        yield
    except KeyError as error:
        key = error.args[0] if error.args else None
        if isinstance(key, tuple) and key[0] not in session.documents:
            raise KeyError(key[0]) from error
        raise


def connected(function: Callable[..., None]) -> Callable[..., None]:
    """Return a command that takes the shared options, too, and is handed a session.

    Args:
        function: takes a `Session`, then what typer is to read from the command line.
    """
    hints = get_type_hints(function, include_extras=True)
    own = list(inspect.signature(function).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        *[p.replace(kind=keyword, annotation=hints[p.name]) for p in own],
        *[inspect.Parameter(n, keyword, annotation=a, default=None) for n, a in _SHARED.items()],
    ]

    def command(context: typer.Context, **given: Any) -> None:
        options = Options(**{name: given.pop(name) for name in _SHARED})
        with closing(Session(shared(context, options))) as session, _missing_told(session):
            function(session, **given)

    setattr(command, "__signature__", inspect.Signature(parameters))  # noqa: B010  # for typer
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    return command

"""The only room that talks to Redis: run an operation, or drive a flow of them.

Theory of operation. redis-py sends a command again when the connection breaks after the request,
when the server may already have executed it. An operation that would then be applied twice, or
would reply something else, goes another way: `_exchange` borrows a connection from the user's own
client, lets the connection's own policy retry connecting and sending (a request that was not sent
whole was not executed), and reads the reply once.

The happy path is straight. Only when the server did nothing, or refused, another round trip finds
out why: `operations.explain`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, TypeVar

from redis.exceptions import ConnectionError, NoScriptError, ResponseError, TimeoutError

from redisjson_dict.errors import JSONModuleMissingError
from redisjson_dict.location import Location
from redisjson_dict.operations import (
    UNDONE,
    Container,
    Flow,
    Found,
    Operation,
    Pause,
    Steps,
    Verb,
    explain,
)
from redisjson_dict.replies import Refusal, has_json

__all__ = ["PAGE", "Blocking"]

T = TypeVar("T")

PAGE = 1000
"""Documents or elements fetched in one round trip when many are read."""

_SCAN_COUNT = 10_000
_NOTHING_SENT = "nothing was sent, so nothing was changed"
_UNKNOWN = (
    "outcome unknown: the request was sent, the reply was lost; it was not sent again, "
    "because it might then have been applied twice"
)


class Blocking:
    """Run verbs on a `redis.Redis` client, one after the other.

    Attributes:
        client: the user's own; borrowed from, never changed.
        show: makes of a `Container` what a reader gets.
        refer: makes a lazy reference to a place.
    """

    __slots__ = ("client", "refer", "show")

    def __init__(
        self,
        client: Any,
        show: Callable[[Blocking, Container], Any],
        refer: Callable[[Blocking, Location], Any],
    ) -> None:
        self.client = client
        self.show = show
        self.refer = refer

    def __call__(self, verb: Verb[Any]) -> Any:
        """Return the result of a verb; a container that was found as what a reader gets.

        Raises:
            RedisJSONDictError, LookupError, TypeError: see design, errors.
            redis.RedisError: connection, time-out, authentication, out of memory, read-only
                replica, refused by ACL: as redis-py names them.
        """
        result = self._result(verb)
        if type(result) is Container:
            return self.show(self, result)
        if type(result) is Found:
            return {
                key: self.show(self, value) if type(value) is Container else value
                for key, value in result.items()
            }
        return result

    def scan(self, pattern: bytes) -> Iterator[bytes]:
        """Walk the keys of all JSON documents that match a pattern, each once."""
        seen: set[bytes] = set()
        cursor = 0
        while True:
            cursor, keys = self.client.execute_command(
                "SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT, "TYPE", "ReJSON-RL",
                NEVER_DECODE=True,
            )  # fmt: skip
            for key in keys:
                if key not in seen:
                    seen.add(key)
                    yield key
            if int(cursor) == 0:
                return

    def _result(self, verb: Verb[T]) -> T:
        if isinstance(verb, Flow):
            return self._drive(verb.start(), self._result)
        try:
            result = self._ask(verb)
        except Refusal as silent:
            raise self._reason(verb, None, silent.words) from None
        except ResponseError as error:
            if type(error) is not ResponseError:  # redis-py has a name for it
                raise
            raise self._reason(verb, error, str(error)) from error
        if result is UNDONE and verb.fallback is not None:
            return self._drive(verb.fallback.start(), self._result)
        return result

    def _ask(self, operation: Operation[T]) -> T:
        try:
            reply = self._send(operation)
        except NoScriptError:
            reply = self._send(operation.with_source())
        return operation.result(reply)

    def _send(self, operation: Operation[Any]) -> Any:
        if not operation.resend:
            return self._exchange(operation.command)
        if operation.script is None:  # redis-py's client-side cache asks for the keys
            return self.client.execute_command(
                *operation.command, NEVER_DECODE=True, keys=[operation.at.key]
            )
        return self.client.execute_command(*operation.command, NEVER_DECODE=True)

    def _exchange(self, command: tuple[Any, ...]) -> Any:
        """Send a command at most once on a connection borrowed from the user's client."""
        client = self.client
        single = client.connection
        with client.single_connection_lock if single else nullcontext():
            try:
                connection = single or client.connection_pool.get_connection()
            except (ConnectionError, TimeoutError) as error:
                error.add_note(_NOTHING_SENT)
                raise
            note = _NOTHING_SENT
            try:
                packed = connection.pack_command(*command)

                def send() -> None:
                    if single and connection.can_read():  # closed, or a reply nobody waits for
                        connection.disconnect()
                    connection.send_packed_command(packed)

                connection.retry.call_with_retry(send, lambda error: connection.disconnect())
                note = _UNKNOWN
                # No command name: callbacks that somebody set on the client are not for us.
                return client.parse_response(connection, "", NEVER_DECODE=True)
            except ResponseError:  # a reply like any other
                raise
            except BaseException as error:
                connection.disconnect()
                error.add_note(note)
                raise
            finally:
                if not single:
                    client.connection_pool.release(connection)

    def _drive(self, steps: Steps[T], run: Callable[[Operation[Any]], Any]) -> T:
        started = time.monotonic()
        try:
            item = next(steps)
            while True:
                try:
                    answer = self._step(item, run, started)
                except Exception as error:
                    item = steps.throw(error)
                else:
                    item = steps.send(answer)
        except StopIteration as stop:
            return stop.value

    @staticmethod
    def _step(
        item: Operation[Any] | Pause, run: Callable[[Operation[Any]], Any], started: float
    ) -> Any:
        if isinstance(item, Pause):
            time.sleep(random.random() * item.longest())
            return time.monotonic() - started
        return run(item)

    def _reason(
        self, operation: Operation[Any], error: ResponseError | None, words: str
    ) -> Exception:
        """Return the error that says why the server did nothing."""
        try:
            reason = self._drive(explain(operation, error), self._ask)
        except ResponseError as again:
            reason = again
        if reason is not error and not isinstance(reason, (ResponseError, Refusal)):
            return reason
        return self._refused(operation, reason, words)

    def _refused(self, operation: Operation[Any], reason: Exception, words: str) -> Exception:
        """Tell a server without JSON commands, and a user without rights, from everything else."""
        verb, key = operation.command[0], operation.at.key
        try:
            self.client.execute_command("JSON.TYPE", key, "$", NEVER_DECODE=True)
        except ResponseError as plainly:
            if type(plainly) is not ResponseError:
                return plainly
            if not has_json(self._exchange(("HELLO",))):
                return JSONModuleMissingError(
                    f"the server has no JSON commands ({plainly}); they come with Redis 8, Redis "
                    "Stack, or the RedisJSON module: docker compose up, or redisjson_dict.server"
                )
        if isinstance(reason, Refusal):
            reason = ResponseError(words)
        name = operation.script.name if operation.script else verb
        reason.add_note(f"in {name} on the Redis key {key!r}, {operation.at.describe()}")
        return reason

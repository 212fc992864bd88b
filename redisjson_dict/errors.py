"""Every exception of this package.

::

    RedisJSONDictError
        StaleLocationError(LookupError)     a proxy's place is gone, or holds another kind
        NotADocumentError(TypeError)        the Redis key holds something that is not JSON
        UnsupportedValueError(TypeError)    a value that JSON cannot hold
        ValueRangeError(ValueError)         a value outside what the server keeps exactly
        PipelineError(RuntimeError)         what a batch cannot do; a batch that failed
            NotReplicatedError              a batch that was applied, but is not on the replicas
        ConflictError(RuntimeError)         a compare-and-set lost too many races
        JSONModuleMissingError              the server has no JSON commands

A key or index that is absent raises plain ``KeyError(key)`` or ``IndexError``, as in ``dict`` and
``list``. Errors that redis-py names (connection, time-out, authentication, out of memory,
read-only replica) pass through untouched.
"""

__all__ = [
    "ConflictError",
    "JSONModuleMissingError",
    "NotADocumentError",
    "NotReplicatedError",
    "PipelineError",
    "RedisJSONDictError",
    "StaleLocationError",
    "UnsupportedValueError",
    "ValueRangeError",
]


class RedisJSONDictError(Exception):
    """Base of every error that this package defines.

    Attributes:
        location: where it happened, as ``document 'run' at $['a'][0]``; ``None`` when no place
            is concerned.
    """

    def __init__(self, message: str, *, location: str | None = None) -> None:
        super().__init__(message)
        self.location = location


class StaleLocationError(RedisJSONDictError, LookupError):
    """What a live proxy points at is gone, or has become another kind of value."""


class NotADocumentError(RedisJSONDictError, TypeError):
    """The Redis key exists but holds another Redis type; it was left as it is."""


class UnsupportedValueError(RedisJSONDictError, TypeError):
    """A value, or a member name, of a type that JSON cannot hold; nothing was sent."""


class ValueRangeError(RedisJSONDictError, ValueError):
    """A value that JSON could hold but the server would not keep exactly; nothing was changed."""


class PipelineError(RedisJSONDictError, RuntimeError):
    """Something that a batch cannot do, or a batch that failed."""


class NotReplicatedError(PipelineError):
    """A batch was applied, but not as many replicas as asked for have it: it may still be lost.

    Attributes:
        replicas: how many have confirmed it.
    """

    def __init__(self, message: str, *, location: str | None = None, replicas: int = 0) -> None:
        super().__init__(message, location=location)
        self.replicas = replicas


class ConflictError(RedisJSONDictError, RuntimeError):
    """A compare-and-set lost too many races against other writers; nothing was changed."""


class JSONModuleMissingError(RedisJSONDictError):
    """The server has no JSON commands."""

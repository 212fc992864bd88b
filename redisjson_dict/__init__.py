"""Large nested state in Redis, behind dict and list: live, atomic, plain JSON."""

from redisjson_dict.codec import to_python
from redisjson_dict.containers import JSONArray, JSONObject
from redisjson_dict.errors import (
    ConflictError,
    JSONModuleMissingError,
    NotADocumentError,
    NotReplicatedError,
    PipelineError,
    RedisJSONDictError,
    StaleLocationError,
    UnsupportedValueError,
    ValueRangeError,
)
from redisjson_dict.mapping import RedisJSONDict
from redisjson_dict.references import Reference

__all__ = [
    "ConflictError",
    "JSONArray",
    "JSONModuleMissingError",
    "JSONObject",
    "NotADocumentError",
    "NotReplicatedError",
    "PipelineError",
    "RedisJSONDict",
    "RedisJSONDictError",
    "Reference",
    "StaleLocationError",
    "UnsupportedValueError",
    "ValueRangeError",
    "to_python",
]

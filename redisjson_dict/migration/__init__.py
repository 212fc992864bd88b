"""From redis-json-dict, redis-dict, shelve, sqlitedict or a JSON file to a `RedisJSONDict`.

`migrate` stores what a source has in a dict. The old data are read only.
"""

from redisjson_dict.migration.carrying import migrate
from redisjson_dict.migration.conversion import CONVERSIONS
from redisjson_dict.migration.files import JSONSource, ShelveSource, SqliteDictSource
from redisjson_dict.migration.items import Item, Refusal, Source, SourceError
from redisjson_dict.migration.report import OUTCOMES, Problem, Report
from redisjson_dict.migration.stores import RedisDictSource, RedisJSONDictSource

__all__ = [
    "CONVERSIONS",
    "Item",
    "JSONSource",
    "OUTCOMES",
    "Problem",
    "RedisDictSource",
    "RedisJSONDictSource",
    "Refusal",
    "Report",
    "ShelveSource",
    "Source",
    "SourceError",
    "SqliteDictSource",
    "migrate",
]

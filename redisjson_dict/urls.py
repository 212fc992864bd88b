"""The URL of a server: what is wrong with it, said without the password in it.

The standard library's own errors quote what they take for the port, which may be a password.
"""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["check"]

_SCHEMES = ("redis", "rediss", "unix")


def check(url: object) -> None:
    """Complain of a URL that cannot be read, or that would be read in another way than meant.

    Raises:
        TypeError: it is not str.
        ValueError: it is malformed; a name or a password in it is never shown.
    """
    if not isinstance(url, str):
        raise TypeError(f"the URL is str, not {type(url).__name__}")
    problem = _problem(url)
    if problem:
        raise ValueError(
            f"{problem}. It is not shown, for there may be a password in it: special characters of "
            "name and password are to be percent-encoded, as urllib.parse.quote(password, safe='') "
            "does; or pass username= and password="
        )


def _problem(url: str) -> str:
    scheme = url.partition("://")[0]
    if scheme not in _SCHEMES or "://" not in url:
        return "the URL must begin with redis://, rediss:// or unix://"
    try:
        parts = urlsplit(url)
        if scheme != "unix":
            parts.port  # noqa: B018  # read for its error
    except ValueError:
        return "the URL's host or port cannot be read"
    after = parts.fragment + parts.query.partition("=")[0]
    if scheme != "unix" or parts.netloc.rpartition("@")[2]:  # a socket has no host, but any path
        after += parts.path
    return "the URL has an @ after a /, ? or #" if "@" in after else ""

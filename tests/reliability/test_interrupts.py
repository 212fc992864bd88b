"""Ctrl-C at any moment: no write is dropped without a word afterwards, no note is false."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own, without hiredis, which may crash when it is interrupted, and with a new
# client now and then, since redis-py loses a connection when it is interrupted while it takes one.
PROGRAM = """
import random, signal, sys
sys.modules["hiredis"] = None
import redis
from redisjson_dict import RedisJSONDict

url, prefix, what, rounds = *sys.argv[1:4], int(sys.argv[4])
signal.signal(signal.SIGALRM, signal.default_int_handler)
hits = 0
span = 2e-3 if what == "append" else 4e-4


def interrupted(act):
    global hits
    error = None
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + random.random() * span)
            act()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt as caught:
        hits += 1
        error = " ".join(getattr(caught, "__notes__", ["none"]))
    return error


def batch(number):
    with d.pipeline():
        d["x"] = number


def expiry(number):
    with d.expire_at(60):
        d["x"] = number


truth = RedisJSONDict(redis.Redis.from_url(url), prefix)
truth["l"] = []
for number in range(rounds):
    if number % 20 == 0 or what == "append":
        d = RedisJSONDict(redis.Redis.from_url(url), prefix)
    if what == "append":
        said = interrupted(lambda: d.at("l").append(number))
        if said is not None and "nothing was" in said:
            assert number not in truth["l"].to_python()[-1:], said
    else:
        interrupted(lambda: {"batch": batch, "expiry": expiry}[what](number))
        d["after"] = number
        assert d["after"] == number
        assert d.ttl("after") is None
print(hits)
"""


@pytest.mark.parametrize("what", ["batch", "expiry", "append"])
def test_interrupts_leave_no_trap(url, prefix, client, effort, figures, what):
    rounds = effort.pick(200, 3000)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, url, prefix, what, str(rounds)],
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    figures[f"interrupts, {what}: rounds, interrupted, trapped"] = (
        f"{rounds}, {done.stdout.strip()}, 0"
    )

"""The workloads; importing this registers them in the order in which they run."""

# ruff: noqa: I001, F401  the order is that of the runs

from benchmarks.workloads import verbs
from benchmarks.workloads import nested
from benchmarks.workloads import toplevel
from benchmarks.workloads import bulk
from benchmarks.workloads import keyspace
from benchmarks.workloads import concurrency
from benchmarks.workloads import network
from benchmarks.workloads import wire
from benchmarks.workloads import footprint
from benchmarks.workloads import codec

"""Threads: how many are used, which limits are heeded, and how those that wait do so."""

import json
import os
import subprocess
import sys

import pytest
from conftest import BINARY, refused, run


def info(monkeypatch, *options, env=None):
    for name in [name for name in os.environ if name.startswith(("OMP_", "GOMP_", "MKL_"))]:
        monkeypatch.delenv(name)
    return run("info", *options, env=env)


@pytest.mark.smoke
def test_info_tells_what_may_be_used(monkeypatch):
    told = info(monkeypatch, "--json").json
    assert told["cpu_affinity"] == len(os.sched_getaffinity(0))
    assert 1 <= told["cpus"] <= told["cpu_affinity"]
    assert 1 <= told["threads"] <= told["cpus"]
    assert told["cpu_quota"] is None or told["cpu_quota"] > 0
    assert "processors" in info(monkeypatch).out


def test_affinity_is_heeded(monkeypatch):
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        told = info(monkeypatch, "--json").json
    finally:
        os.sched_setaffinity(0, before)
    assert (told["cpus"], told["cpu_affinity"], told["threads"]) == (1, 1, 1)


def test_what_the_user_says_wins(monkeypatch):
    assert info(monkeypatch, "--json", env={"OMP_NUM_THREADS": "1"}).json["threads"] == 1
    assert info(monkeypatch, "--json", "--threads", 5, env={"OMP_NUM_THREADS": "1"}).json["threads"] == 5


def test_more_threads_than_make_sense_are_refused_with_the_limit():
    limit = max(64, 4 * run("info", "--json").json["cpus"])
    assert run("info", "--json", "--threads", limit).json["threads"] == limit
    for threads in (limit + 1, 4096, 10**12):
        refused("info", "--threads", threads, mentions=["--threads", f"0 to {limit}", threads])


# Root is not bound by the limit on processes: as root, the program runs as nobody.
LIMITED = """
import os, resource, sys
if os.geteuid() == 0:
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
os.execv(sys.argv[1], ["diffit", *sys.argv[2:]])
"""


def test_threads_that_cannot_be_had_are_named_before_openmp_ends_the_process():
    def limited(*args):
        return subprocess.run([sys.executable, "-S", "-E", "-c", LIMITED, BINARY, *args], capture_output=True, text=True)

    alone = limited("info", "--json", "--threads", "1")
    if "PermissionError" in alone.stderr:
        pytest.skip("nobody may not read this folder")
    assert alone.returncode == 0, alone.stderr
    done = limited("info", "--threads", "8")
    assert done.returncode == 1, done.stderr
    assert done.stderr == ("error: --threads 8: the system starts no more than 1 threads now (ulimit -u, ulimit -v, or "
                           "pids.max of the control group); try --threads 1\n")
    assert json.loads(limited("info", "--json").stdout)["threads"] == 1


def spins(monkeypatch, env):
    """What libgomp read of its environment, as it tells it itself."""
    told = info(monkeypatch, env={"OMP_DISPLAY_ENV": "verbose", **env}).err
    return [line.split("'")[1] for line in told.splitlines() if "GOMP_SPINCOUNT" in line]


def test_waiting_threads_sleep_unless_the_user_says_otherwise(monkeypatch):
    assert spins(monkeypatch, {}) == ["10000"]
    assert spins(monkeypatch, {"GOMP_SPINCOUNT": "77"}) == ["77"]
    assert spins(monkeypatch, {"OMP_WAIT_POLICY": "active"}) not in ([], ["10000"])

"""Memory that a step frees stays with the process while it trains, and is given back afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

from polo.model.memory import kept_memory

#: a process of its own, whose heap nobody has used: pages that the system hands out for ten rounds, before and inside
#: the block, and what the process holds after it
ROUNDS = """
import resource
from polo.model.memory import kept_memory

def round():
    tables = [bytearray(b"x") * (3 << 20) for _ in range(3)]
    del tables

def asked():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        round()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

pages = 9 * (1 << 20) // resource.getpagesize()
round()
outside = asked()
with kept_memory("cpu"):
    for _ in range(3):
        round()
    inside, during = asked(), held()
print(outside / pages, inside / pages, (during - held()) / pages)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")
def test_what_is_freed_is_used_again_without_asking_the_system_and_given_back_at_the_end() -> None:
    told = subprocess.run([sys.executable, "-c", ROUNDS], capture_output=True, text=True, check=True).stdout
    outside, inside, given_back = map(float, told.split())
    assert outside > 2  # or there is nothing to gain here
    assert inside < 1
    assert given_back > 0.9


def test_elsewhere_than_on_the_cpu_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(name: str | None) -> None:
        raise AssertionError("the C library was asked for")

    monkeypatch.setattr("ctypes.CDLL", told)
    with kept_memory("cuda"):
        pass

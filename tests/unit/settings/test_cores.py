"""As many workers as there are processors for them, which a container or `taskset` may have made fewer."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailroom.settings import cores, memory

ASK = "from mailroom.settings.cores import usable_cores; print(usable_cores())"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_processors_we_may_not_use_do_not_count() -> None:
    one = min(os.sched_getaffinity(0))
    asked = subprocess.run(
        [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{{one}}}); {ASK}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.strip() == "1"


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/", {"cpu.max": "max 100000"}, float("inf")),
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/web.slice/mailroom", {
            "web.slice/mailroom/cpu.max": "max 100000", "web.slice/cpu.max": "50000 100000",
        }, 0.5),
        ("3:cpuset:/\n2:cpu,cpuacct:/docker/1", {
            "cpu/docker/1/cpu.cfs_quota_us": "200000", "cpu/docker/1/cpu.cfs_period_us": "100000",
        }, 2.0),
        ("2:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, float("inf")),
        ("0::/", {"cpu.max": "garbage"}, float("inf")),
        ("garbage", {}, float("inf")),
    ],
)  # fmt: skip
def test_quotas_of_control_groups_count(tmp_path: Path, own: str, files: dict[str, str], quota: float) -> None:
    mounted = tmp_path / "cgroup"
    for name, text in files.items():
        (mounted / name).parent.mkdir(parents=True, exist_ok=True)
        (mounted / name).write_text(f"{text}\n")
    (tmp_path / "own").write_text(f"{own}\n")
    assert cores.quota(mounted, tmp_path / "own") == quota


def test_there_is_always_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "quota", lambda *_: 0.1)
    assert cores.usable_cores() == 1


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/web", {"web/memory.max": "536870912", "memory.max": "max"}, 536870912),
        ("0::/web", {"web/memory.max": "max", "memory.max": "268435456"}, 268435456),
        ("4:memory:/docker/1", {"memory/docker/1/memory.limit_in_bytes": "1073741824"}, 1073741824),
        ("0::/", {"memory.max": "max"}, float("inf")),
        ("0::/", {}, float("inf")),
    ],
)
def test_limits_of_memory_count_too(tmp_path: Path, own: str, files: dict[str, str], limit: float) -> None:
    mounted = tmp_path / "cgroup"
    for name, text in files.items():
        (mounted / name).parent.mkdir(parents=True, exist_ok=True)
        (mounted / name).write_text(f"{text}\n")
    (tmp_path / "own").write_text(f"{own}\n")
    assert memory.limit(mounted, tmp_path / "own") == limit


@pytest.mark.parametrize(
    ("cores_", "megabytes", "processes"), [(8, 512, 2), (8, 256, 1), (8, 100, 1), (2, 8_000, 2), (8, math.inf, 8)]
)
def test_there_are_as_many_workers_as_cores_and_as_the_memory_is_enough_for(
    monkeypatch: pytest.MonkeyPatch, cores_: int, megabytes: float, processes: int
) -> None:
    monkeypatch.setattr(memory, "usable_cores", lambda: cores_)
    monkeypatch.setattr(memory, "usable_memory", lambda: megabytes * memory.MB)
    assert memory.worker_processes() == processes

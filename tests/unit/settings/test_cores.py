"""As many workers as there are processors for them, which a container or `taskset` may have made fewer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailroom.settings import cores

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

"""The power fails at any moment: the next run completes, refuses nothing, and what guests wrote is still there."""

from pathlib import Path

import pytest

from tests.faults import farms
from tests.faults.farms import Farm, Work
from tests.faults.moments import Failures, by_chance
from tests.faults.power import Disk, mounts_of_its_own, reflinking
from tests.faults.syscalls import Answer, Call
from tests.machine import PATH, need_programs, run

SEED = 20
CUTS = 34


@pytest.mark.power
@pytest.mark.parametrize(
    ("kind", "filesystem"),
    [
        (farms.Build, "ext4"),
        (farms.Build, "xfs"),
        (farms.Build, "btrfs"),
        (farms.Deploy, "ext4"),
        (farms.Deploy, "xfs"),
        (farms.Resize, "ext4"),
        (farms.Resize, "xfs"),
        (farms.Retire, "ext4"),
        (farms.Retire, "btrfs"),
    ],
)
def test_power_cuts(kind: type[Work], filesystem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_programs("mkfs.xfs", "mkfs.btrfs", "grub-mkimage", "qemu-img")
    monkeypatch.setenv("PATH", PATH)
    work = kind(Farm(tmp_path / "disk/farm", tmp_path / "tools"))
    with mounts_of_its_own(), reflinking(tmp_path) as store:
        disk = Disk(store, tmp_path / "disk", filesystem)
        with disk.mounted():
            work.prepare()
            run("sync", "--file-system", disk.point)
            before = disk.cut("before")
            total = len(work.run_undisturbed())
        moments = {number: f"cut{number}" for number in by_chance(SEED, total, CUTS)}
        cuts: dict[Call, Path] = {}

        def meet(call: Call) -> Answer:
            if call.number in moments:
                cuts[call] = disk.cut(moments[call.number])
            return Answer.GO_ON

        with disk.mounted(before):
            work.run(meet)
        failures = Failures()
        for call, contents in cuts.items():
            with failures.noted(f"cut before call {call.number} of {total}, {call}"), disk.mounted(contents):
                work.assert_nothing_half_written()
                work.complete()
        failures.judge(30)

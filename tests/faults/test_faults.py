"""A disk that fails at any call: one clear line and an exit code that tells, and the next run completes."""

import errno
import re
from collections.abc import Callable, Sequence
from itertools import groupby

import pytest

from tests.faults import farms
from tests.faults.conftest import Prepare
from tests.faults.farms import Work
from tests.faults.moments import Failures, Moment
from tests.faults.syscalls import Answer, Call, Ended

_TAKES_ROOM = {"write", "pwrite64", "sendfile", "copy_file_range", "fallocate", "openat", "mkdir", "rename", "link"}


def broken(_: Call) -> int:
    """What a disk says that cannot be read or written any more."""
    return errno.EIO


def full(call: Call) -> int | None:
    """What a disk says that has no room."""
    return errno.ENOSPC if call.name in _TAKES_ROOM else None


def short(call: Call) -> Answer | None:
    """write(2) may always write less than it was told."""
    return Answer.CUT_SHORT if call.can_be_cut_short else None


def tool_killed(_: Call) -> Answer:
    """The kernel kills what takes too much memory; where that is doit itself, so be it."""
    return Answer.KILL_CALLER


Choose = Callable[[Call], Answer | int | None]

_CAUSES = {
    errno.EIO: "Input/output error|disk I/O error|readonly database|unable to open database",
    errno.ENOSPC: "disk is full|No space left on device",
}

_LOST = re.compile(r"build/(logs(/.*)?|catalogue/.*|state\.db.*)?")
"""What may fail to be synced in a run that succeeds: it is not missed, or is SQLite's, which knows what it needs."""


def stages(calls: Sequence[Call]) -> list[int]:
    """The first call of each row of calls of one kind on one file: those after it fail in the same way."""
    return [next(iter(row)).number for _, row in groupby(calls, key=lambda call: (call.name, call.path))]


def judge(work: Work, ended: Ended, moment: Moment) -> None:
    """Assert that a run has told of the fault in words that a user can do something with, or has got over it."""
    call = moment.call
    if call is None or ended.code == -9:
        return
    assert "Traceback" not in ended.output, ended.output
    assert ended.code in (0, 1, 2), f"exit code {ended.code}\n{ended.output}"
    if ended.code == 0:
        work.assert_whole()
        synced = call.name not in ("fsync", "fdatasync") or _LOST.fullmatch(call.path)
        assert synced or moment.answer != errno.EIO, f"exit code 0 although {call} failed"
    elif isinstance(moment.answer, int):
        assert re.search(_CAUSES[moment.answer], ended.output), f"the cause is not told:\n{ended.output}"


def fail(work: Work, choose: Choose, *, every: int) -> None:
    """Have a call of each `every`th stage fail, one in each run, and judge what came of it."""
    calls = work.run_undisturbed()
    failures = Failures()
    for number in stages(calls)[every // 2 :: every]:
        answer = choose(calls[number - 1])
        if answer is None:
            continue
        moment = Moment(number, answer)
        with failures.noted(moment):
            work.reset()
            ended = work.run(moment.meet)
            judge(work, ended, moment)
            work.assert_nothing_half_written()
            work.complete()
    failures.judge(1)


@pytest.mark.power
@pytest.mark.parametrize("kind", [farms.Build, farms.Deploy, farms.Resize, farms.Retire])
@pytest.mark.parametrize(("choose", "every"), [(broken, 1), (full, 3), (short, 5), (tool_killed, 5)])
def test_each_call_fails(kind: type[Work], choose: Choose, every: int, prepare: Prepare) -> None:
    fail(prepare(kind), choose, every=every)


@pytest.mark.parametrize(
    ("kind", "choose", "every"),
    [(farms.Build, broken, 150), (farms.Deploy, full, 80), (farms.Resize, tool_killed, 150)],
)
def test_some_calls_fail(kind: type[Work], choose: Choose, every: int, prepare: Prepare) -> None:
    fail(prepare(kind), choose, every=every)

"""A disk that fails at any call: one clear line, an exit code that tells, nothing half-written, and the next run completes."""

import errno
import re
from collections.abc import Callable, Sequence
from itertools import groupby

import pytest

from tests.faults import farms
from tests.faults.conftest import Prepare
from tests.faults.farms import Work
from tests.faults.moments import Failures, Moment, by_chance
from tests.faults.syscalls import Answer, Call, Ended

SEED = 20

Choose = Callable[[Call], Answer | int | None]

_TAKES_ROOM = (
    "write",
    "pwrite64",
    "sendfile",
    "copy_file_range",
    "fallocate",
    "openat",
    "mkdir",
    "rename",
    "link",
    "symlink",
)


def broken(_: Call) -> int:
    return errno.EIO


def full(call: Call) -> int | None:
    return errno.ENOSPC if call.name in _TAKES_ROOM else None


def short(call: Call) -> Answer | None:
    return Answer.CUT_SHORT if call.can_be_cut_short else None


def killed_tool(call: Call) -> Answer | None:
    return Answer.KILL_CALLER


_MAY_BE_LOST = re.compile(r"build/(logs|catalogue)(/.*)?|.*(/\.locks/.*|\.lock)")
"""Files without which a run may succeed: they tell people something, or save time."""

_CAUSES = {errno.EIO: r"Input/output error|disk I/O error", errno.ENOSPC: r"disk is full|No space left|is full"}


def stages(calls: Sequence[Call]) -> list[int]:
    """The first call of each row of calls of the same kind on the same file: what follows it there fails in the same way."""
    rows = groupby(calls, key=lambda call: (call.name, call.path))
    return [next(iter(row)).number for _, row in rows]


def fail(
    work: Work, numbers: Sequence[int], choose: Choose, calls: Sequence[Call], *, shares: tuple[int, int] = (0, 1)
) -> int:
    """Have each of these calls of the run fail, one in each run, and judge what came of it. How many were tried."""
    failures = Failures()
    share, of = shares
    for number in numbers[share::of]:
        answer = choose(calls[number - 1])
        if answer is None:
            continue
        moment = Moment(number, answer)
        with failures.noted(moment):
            work.reset()
            ended = work.run(moment.meet)
            judge(ended, moment)
            work.assert_nothing_half_written()
            work.complete()
    failures.judge(0)
    return failures.tried


def judge(ended: Ended, moment: Moment) -> None:
    """Assert that a run has told of the fault, in words that a user can do something with; or that there was none."""
    assert "Traceback" not in ended.output, ended.output
    assert ended.code in (0, 1, 2), f"exit code {ended.code}\n{ended.output}"
    call = moment.call
    if call is None or moment.answer is Answer.CUT_SHORT:
        return
    if ended.code == 0:
        assert _MAY_BE_LOST.fullmatch(call.path) or call.name in ("unlink", "rmdir", "unlinkat"), (
            f"exit code 0\n{ended.output}"
        )
    elif isinstance(moment.answer, int):
        assert re.search(_CAUSES[moment.answer], ended.output), f"the cause is not told:\n{ended.output}"

"""kill -9 at any moment: what has a final name is whole, the next run completes, and nothing is left behind."""

import pytest

from tests.faults import farms
from tests.faults.conftest import Prepare
from tests.faults.farms import Work
from tests.faults.moments import Failures, Moment, by_chance
from tests.faults.syscalls import Answer

SEED = 20

KINDS = [
    pytest.param(kind, few, many, id=kind.__name__)
    for kind, few, many in [
        (farms.Build, 4, 70),
        (farms.BuildByTwo, 4, 70),
        (farms.Deploy, 4, 50),
        (farms.Resize, 4, 60),
        (farms.ResizeByTwo, 1, 30),
        (farms.Retire, 2, 30),
    ]
]


def killed(work: Work, count: int) -> None:
    total = len(work.run_undisturbed())
    failures = Failures()
    for number in by_chance(SEED, total, count):
        moment = Moment(number, Answer.KILL)
        with failures.noted(moment):
            work.reset()
            work.run(moment.meet)
            work.assert_nothing_half_written()
            work.complete()
    failures.judge(min(count, total) // 2)


@pytest.mark.parametrize(("kind", "few", "many"), KINDS)
def test_killed(kind: type[Work], few: int, many: int, prepare: Prepare) -> None:
    killed(prepare(kind), few)


@pytest.mark.power
@pytest.mark.parametrize(("kind", "few", "many"), KINDS)
def test_killed_often(kind: type[Work], few: int, many: int, prepare: Prepare) -> None:
    killed(prepare(kind), many)

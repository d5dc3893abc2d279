"""Moments of a run at which something goes wrong, by the numbers of its system calls; all are tried, then judged."""

import errno
import random
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.syscalls import Answer, Call


def by_chance(seed: int, total: int, count: int) -> list[int]:
    """The numbers of `count` of the `total` calls of a run, spread over all of it; the same for the same seed."""
    chance = random.Random(seed)
    step = total / count
    return sorted({1 + int(step * (index + chance.random())) for index in range(count)})


class Moment:
    """The call of a run that has this number, and what is to become of it. `call` is that call once it has come.

    An error stays: calls of the same kind on the same file fail from then on.
    """

    def __init__(self, number: int, answer: Answer | int) -> None:
        self.number = number
        self.answer = answer
        self.call: Call | None = None

    def meet(self, call: Call) -> Answer | int:
        """What a run is to be told: see syscalls.run()."""
        if call.number == self.number:
            self.call = call
            return self.answer
        stays = (
            self.call and isinstance(self.answer, int) and (call.name, call.path) == (self.call.name, self.call.path)
        )
        return self.answer if stays else Answer.GO_ON

    def __str__(self) -> str:
        what = errno.errorcode[self.answer] if isinstance(self.answer, int) else self.answer.name
        return f"{what} at call {self.number}, {self.call}"


class Failures:
    """What went wrong at which moments: one that fails does not keep the others from being tried."""

    def __init__(self) -> None:
        self._tried = 0
        self._found: list[str] = []

    @contextmanager
    def noted(self, moment: object) -> Iterator[None]:
        """Keep an AssertionError of the block for later."""
        self._tried += 1
        try:
            yield
        except AssertionError as error:
            self._found.append(f"{moment}\n    " + str(error).strip().replace("\n", "\n    "))

    def judge(self, least: int) -> None:
        """Fail if anything did, or if fewer than `least` moments were tried."""
        assert self._tried >= least
        report = "\n".join(self._found)
        assert not self._found, f"{len(self._found)} of {self._tried} failed:\n{report}"

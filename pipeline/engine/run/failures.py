"""What the exit code of a run tells: that a task failed, or that there is an error besides."""

from doit import runner
from doit.exceptions import TaskFailed, UnmetDependency


class NotBuilt(UnmetDependency, TaskFailed):  # type: ignore[misc]  # doit has no types
    """What is not built since what it is made from failed. To doit that is an error, of another exit code."""


def distinguish() -> None:
    """Have runs end by the exit code of failed tasks, 1, where these have kept others from being built."""
    runner.UnmetDependency = NotBuilt

"""Which artifacts are fresh, found out for all of them at once: doit takes half a millisecond for each that it asks of.

What is fresh by these means is up to date for doit, too. Whatever is not is left to doit, which asks as ever, and says
why. So a mistake here could cost time, but for one: to take what is stale for fresh. Therefore a fingerprint is of all
that doit would compare, and an artifact is fresh only if all are that it is made from.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Any

from doit import cmd_run
from doit.control import ExecNode, TaskControl, TaskDispatcher
from doit.exceptions import InvalidCommand
from doit.task import Task

from pipeline.engine.artifact.task import ArtifactTask
from pipeline.engine.state import fingerprint
from pipeline.engine.state.catalogue import Asked
from pipeline.engine.state.state import State


def fresh(tasks: Iterable[Task], state: State, digest: Callable[[str], str]) -> set[str]:
    """The names of those of `tasks` that have nothing to do; each must come after those that it depends on.

    `digest` gives the digest of a file that is there.
    """
    recorded = state.fingerprints()
    found: set[str] = set()
    groups: dict[str, list[str]] = {}

    def is_found(name: str) -> bool:
        return name in found or (name in groups and found.issuperset(groups[name]))

    @cache
    def answers(asked: Asked) -> str:
        return fingerprint.text({name: ask() for name, ask in asked})

    @cache
    def digests(files: frozenset[str]) -> str:
        return fingerprint.text({path: digest(path) for path in files})

    for task in tasks:
        if task.has_subtask:
            groups[task.name] = task.task_dep
        known = recorded.get(task.name)
        if known is None or not isinstance(task, ArtifactTask) or not all(map(is_found, task.task_dep)):
            continue
        try:
            now = task.fingerprint(answers, digests)
        except (FileNotFoundError, PermissionError):  # one of the files that it is made from, or it itself
            continue
        if now == known:
            found.add(task.name)
    return found


def is_on_request(task: Task) -> bool:
    """Whether `task` runs only when it is asked for by name, or needed by another."""
    return bool(getattr(task, "on_request", False))


def with_dependencies(tasks: Mapping[str, Task], selected: Iterable[str]) -> Iterator[Task]:
    """Those of `tasks` that were `selected`, by name, and all that they depend on, in the order of `tasks`."""
    chosen = with_all_before(selected, lambda name: chain(tasks[name].task_dep, tasks[name].setup_tasks))
    return (task for name, task in tasks.items() if name in chosen)


def with_all_before(names: Iterable[str], before: Callable[[str], Iterable[str]]) -> set[str]:
    """These `names`, those that come `before` each of them, those before these, and so on."""
    found: set[str] = set()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead.extend(before(name))
    return found


class FreshNode(ExecNode):  # type: ignore[misc]  # doit has no types
    """What doit's dispatcher knows of a task that is fresh, after those it depends on: that it is to be reported."""

    wait_select = False
    bad_deps = ()
    ignored_deps = ()

    def __init__(self, task: Task) -> None:
        self.task = task
        self.run_status = None
        self.waiting_me: set[ExecNode] = set()
        self._is_told = False

    def step(self) -> Task | None:
        """The task itself, and then nothing more."""
        if self._is_told:
            return None
        self._is_told = True
        return self.task


class Dispatcher(TaskDispatcher):  # type: ignore[misc]  # doit has no types
    """doit's dispatcher, with little ado about tasks that are fresh."""

    def __init__(self, tasks: Any, targets: Any, selected_tasks: Any, fresh: Collection[str]) -> None:  # noqa: ANN401  # doit's
        self._fresh = fresh
        super().__init__(tasks, targets, selected_tasks)

    def _gen_node(self, parent: ExecNode | None, task_name: str) -> ExecNode | None:
        if task_name in self._fresh and task_name not in self.nodes:
            task = self.tasks[task_name]
            if all(map(self._is_reported, task.task_dep)):
                node = self.nodes[task_name] = FreshNode(task)
                return node
        return super()._gen_node(parent, task_name)

    def _is_reported(self, task_name: str) -> bool:
        node = self.nodes.get(task_name)
        return node is not None and node.run_status not in (None, "run")


class Control(TaskControl):  # type: ignore[misc]  # doit has no types
    """doit's control, which can be told what is fresh."""

    fresh: Collection[str] = ()
    selected_tasks: Any  # doit's

    def process(self, task_selection: list[str] | None) -> None:
        """Select tasks, once: doit reads the options of a task as something else when it meets them again.

        None stands for all that are not to be asked for by name.
        """
        if self.selected_tasks is None:
            if task_selection is None:
                self.selected_tasks = [name for name, task in self.tasks.items() if not is_on_request(task)]
            else:
                super().process(task_selection)

    def _process_filter(self, task_selection: list[str]) -> list[str]:
        # What doit takes no notice of: the command line has a pattern that no task matches.
        for word in task_selection:
            if (
                "*" in word
                and not self._get_wild_tasks(word)
                and all(task.pos_arg is None for task in self.tasks.values())
            ):
                raise InvalidCommand(not_found=word)
        found: list[str] = super()._process_filter(task_selection)
        return found

    def chosen(self) -> Iterator[Task]:
        """The tasks that were selected and all that they depend on, in the order in which they are defined."""
        return with_dependencies(self.tasks, self.selected_tasks)

    def task_dispatcher(self) -> TaskDispatcher:
        """What gives doit's runner one task after the other."""
        return Dispatcher(self.tasks, self.targets, self.selected_tasks, self.fresh)

    @contextmanager
    def in_charge(self) -> Iterator[None]:
        """Have doit's `run` use this one in the block; there is no other way to tell it so."""
        cmd_run.TaskControl = lambda *_arguments, **_options: self
        try:
            yield
        finally:
            cmd_run.TaskControl = TaskControl

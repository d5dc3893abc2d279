"""Task creators: the functions of a dodo.py whose artifacts become doit's tasks.

What they would list is in a catalogue, if nothing has changed. Then they are called only when something is to be built.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import cached_property, wraps

from doit.task import Task

from pipeline.engine.artifact.artifact import Artifact, Tasks
from pipeline.engine.artifact.task import ArtifactTask, entry_of
from pipeline.engine.run.user_errors import user_errors
from pipeline.engine.state.catalogue import Catalogue, Entry
from pipeline.errors import GuestfarmError, Problem
from pipeline.model.farm import DriverNeed

_COMPARED = Entry._fields.index("asked")
"""Functions may be other objects each time, so of an entry only what comes before them is compared."""


class _Loading:
    """How tasks are loaded in this process."""

    sources: dict[str, str]
    """The file that each group's creator is in."""
    catalogue: Catalogue | None = None
    wanted: Sequence[str] | None
    """What the user named on the command line; nothing: what is made without being named; None: everything."""

    def __init__(self) -> None:
        self.sources = {}
        self.want(None)

    def want(self, wanted: Sequence[str] | None) -> None:
        """Load what is needed for these alone, or for a run without names, or everything."""
        self.wanted = wanted
        self.__dict__.pop("names", None)

    def takes(self, group: str, entry: Entry) -> bool:
        """Whether an artifact in the catalogue is to be loaded."""
        if self.wanted is not None and not self.wanted:
            return not entry.on_request
        return self.names is None or f"{group}:{entry.name}" in self.names

    @cached_property
    def names(self) -> set[str] | None:
        """The tasks that are wanted and all that they need; None for every task."""
        if not self.wanted or self.catalogue is None:
            return None
        groups = {group: self.catalogue.entries(group, source) for group, source in self.sources.items()}
        tasks: dict[str, Entry] = {}
        for group, entries in groups.items():
            if entries is None:
                return None
            tasks.update((f"{group}:{entry.name}", entry) for entry in entries)
        makers = {target: name for name, entry in tasks.items() for target in entry.targets}
        ahead: list[str] = []
        for text in self.wanted:
            if text in groups:
                text += ":*"  # noqa: PLW2901  # all of the group
            found = [name for name in tasks if fnmatch(name, text)] if "*" in text else [makers.get(text, text)]
            if not found or found[0] not in tasks:
                return None  # doit says what it is, or that it is nothing
            ahead.extend(found)
        names: set[str] = set()
        while ahead:
            name = ahead.pop()
            if name not in names:
                names.add(name)
                ahead.extend(makers[file] for file in tasks[name].files if file in makers)
                before = tasks[name].tasks
                ahead.extend(each for each in before if each in tasks)
                if not tasks.keys() >= set(before):  # there are groups among them
                    ahead.extend(each for each in tasks if each.partition(":")[0] in before)
        return names


_loading = _Loading()


def use(catalogue: Catalogue) -> None:
    """Take what `catalogue` knows for what creators would list, and note there what they do list."""
    _loading.catalogue = catalogue


def notes() -> Sequence[Problem | DriverNeed]:
    """What was found in the list that is, or depending on masters may be, a mistake."""
    return _loading.catalogue.warnings if _loading.catalogue else ()


def keep() -> None:
    """Keep what creators have listed for later runs; there is a folder to build in now."""
    if _loading.catalogue:
        _loading.catalogue.sweep()
        _loading.catalogue.save()


@contextmanager
def only(wanted: Sequence[str]) -> Iterator[None]:
    """In the block, creators may leave out what is not needed for the tasks and targets that are `wanted`.

    Where none are, that is what is made on request.
    """
    _loading.want(wanted)
    try:
        yield
    finally:
        _loading.want(None)


def everything() -> bool:
    """Leave out nothing from now on. Whether anything was left out before."""
    were_left_out = _loading.wanted is not None and (not _loading.wanted or _loading.names is not None)
    _loading.want(None)
    return were_left_out


def artifacts(creator: Callable[[], Tasks]) -> Callable[[], Iterator[Task]]:
    """The task creator `task_KIND` of a dodo.py, whose artifacts become tasks KIND:NAME in the group KIND.

    To make the group is to make those of its artifacts that are not made on request.
    It has to list the same artifacts as long as the guest list and the code are the same. An input that can change for
    other reasons, as the digest of a file, is a callable that pickle can keep: a function of a module, or a partial.
    """
    return _creator(creator, on_request=False)


def artifacts_on_request(creator: Callable[[], Tasks]) -> Callable[[], Iterator[Task]]:
    """The same where all artifacts are made on request, and so is the group: that is to make all of them."""
    return _creator(creator, on_request=True)


def _creator(creator: Callable[[], Tasks], *, on_request: bool) -> Callable[[], Iterator[Task]]:
    group = creator.__name__.removeprefix("task_")
    source = creator.__code__.co_filename
    _loading.sources[group] = source

    @wraps(creator)
    def tasks() -> Iterator[Task]:
        with _no_garbage_collection():
            made = list(_tasks(group, source, creator))
        own = [task.name for task in made if on_request or not task.on_request]
        whole = Task(group, None, doc=creator.__doc__, has_subtask=True, task_dep=own)
        whole.on_request = on_request
        yield whole
        yield from made

    return tasks


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A farm and its tasks stay until doit ends: to look among them for garbage takes longer than to make them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def _tasks(group: str, source: str, creator: Callable[[], Tasks]) -> Iterable[ArtifactTask]:
    catalogue = _loading.catalogue
    entries = catalogue.entries(group, source) if catalogue else None
    if catalogue is None or entries is None:
        made = [ArtifactTask.of(group, artifact) for artifact in creator()]
        if catalogue:
            catalogue.note(group, source, [task.entry for task in made])
        return made
    listed = _Listed(group, creator, catalogue)
    return [ArtifactTask.listed(group, entry, listed) for entry in entries if _loading.takes(group, entry)]


class _Listed:
    """The artifacts of a group, which are listed when the first of them is asked for."""

    def __init__(self, group: str, creator: Callable[[], Tasks], catalogue: Catalogue) -> None:
        self._group = group
        self._creator = creator
        self._catalogue = catalogue

    @cached_property
    def _found(self) -> dict[str, Artifact]:
        return {artifact.name: artifact for artifact in self._creator()}

    def __call__(self, entry: Entry) -> Artifact:
        """The artifact of which `entry` is what was known. If it is no longer so, that is shown, and ends doit."""
        with user_errors():
            artifact = self._found.get(entry.name)
            if artifact is None or entry_of(artifact)[:_COMPARED] != entry[:_COMPARED]:
                self._catalogue.forget(self._group)
                raise GuestfarmError(f"what {self._group}:{entry.name} is made of has just changed", "run doit again")
            return artifact

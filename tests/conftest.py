"""Fixtures for all tests, and how long generated input is tried: for seconds by `make test`, minutes by `make fuzz`."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.machine import mounted, need_root

settings.register_profile("test", derandomize=True, max_examples=50, deadline=None)
settings.register_profile("fuzz", max_examples=20_000, deadline=None, print_blob=True)
settings.load_profile("test")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as it is in the background; programs inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


class SharedFixtures(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Keeps together, where tests run in several processes, those that share fixtures: files, and all that boot."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "boot" if file.startswith("tests/boot/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> SharedFixtures:
    """How pytest-xdist hands out the tests."""
    return SharedFixtures(config, log)


Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """`mount(source, *options)` mounts a file system until the test ends, and returns where."""
    need_root()
    with ExitStack() as stack:
        count = iter(range(1000))
        yield lambda source, *options: stack.enter_context(mounted(source, tmp_path / f"mount{next(count)}", *options))


@pytest.fixture
def small_disk(mount: Mount) -> Path:
    """A folder on a disk of its own that has room for 8 MiB."""
    return mount("none", "-t", "tmpfs", "-o", "size=8m")

"""Fixtures for all tests, and how long generated input is tried: for seconds by `make test`, minutes by `make fuzz`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from tests.machine import mounted, need_root

settings.register_profile("test", derandomize=True, max_examples=300, deadline=None)
settings.register_profile("fuzz", max_examples=20_000, deadline=None, print_blob=True)
settings.load_profile("test")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which looks for the marks only once
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, where tests run in several processes, those that share fixtures: files, and all that boot."""
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(folder if folder == "boot" else str(item.path)))


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

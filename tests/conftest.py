"""Fixtures for all tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.machine import mounted, need_root

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

"""The machine that runs the tests: its programs, and what root can do on it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Ordinary users of Debian have not got the sbin folders in theirs.
PATH = f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"


def need(condition: object, what: str) -> None:
    """Go on only if `condition` holds: in continuous integration anything else is a failure, elsewhere a skip."""
    if not condition and os.environ.get("CI") == "true":
        pytest.fail(f"this machine lacks {what}")
    if not condition:
        pytest.skip(f"this machine lacks {what}")


def need_root() -> None:
    need(os.geteuid() == 0, "root, who can mount")


def need_programs(*names: str) -> None:
    need(all(shutil.which(name, path=PATH) for name in names), " or ".join(names))


def run(*argv: str | Path, codes: tuple[int, ...] = (0,), env: dict[str, str] | None = None) -> str:
    """What a program prints on its standard output."""
    completed = subprocess.run(
        list(map(str, argv)),
        env={"PATH": PATH, "LC_ALL": "C", "TZ": "UTC", **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    assert completed.returncode in codes, f"{argv}: {completed.returncode}\n{completed.stdout}{completed.stderr}"
    return completed.stdout


@contextmanager
def mounted(source: str | Path, point: Path, *options: str) -> Iterator[Path]:
    """A file system mounted at `point`, a new folder."""
    need_root()
    point.mkdir()
    run("mount", *options, source, point)
    try:
        yield point
    finally:
        run("umount", point)

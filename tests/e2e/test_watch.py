"""A watch on the file system: whatever is in the list or in a master, nothing outside the build folder is written."""

import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import TINY_MASTER, Workshop, write_tar

WRITING = (
    *("creat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat"),
    *(
        "mknod",
        "mknodat",
        "unlink",
        "unlinkat",
        "rmdir",
        "truncate",
        "chmod",
        "fchmodat",
        "chown",
        "lchown",
        "fchownat",
    ),
    *("utimensat", "setxattr", "lsetxattr", "removexattr"),
)
CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>\S+)")
DESCRIPTOR = re.compile(r"(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, \"(?P<path>[^\"]*)\"")
QUOTED = re.compile(r"\"(?P<path>[^\"]*)\"")


def written(trace: Path, folder: Path) -> Iterator[Path]:
    """The paths that successful system calls in a trace of strace's wrote to; `folder` is where it began."""
    for line in trace.read_text(errors="replace").splitlines():
        call = CALL.search(line)
        if call is None or call["result"].startswith("-1"):
            continue
        if call["name"] in ("open", "openat") and not re.search(r"O_WRONLY|O_RDWR|O_CREAT", call["arguments"]):
            continue
        relative = [(Path(match["folder"]), match["path"]) for match in DESCRIPTOR.finditer(call["arguments"])]
        for base, path in relative or [(folder, match["path"]) for match in QUOTED.finditer(call["arguments"])]:
            yield base / path


def write_plain(path: Path) -> None:
    write_tar(path, TINY_MASTER)


def write_hostile(path: Path) -> None:
    """An archive that would get out of a folder that it is unpacked into; in an image it stays inside."""
    write_tar(path, TINY_MASTER)
    with tarfile.open(path, "a") as archive:
        for name, target in (("out", "/"), ("up", "../../../../../.."), ("etc/out", "/boot")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name in ("out/escaped", "up/escaped", "etc/out/escaped", "/escaped", "etc/$(touch escaped)", "etc/;reboot"):
            member = tarfile.TarInfo(name)
            member.size = 7
            archive.addfile(member, io.BytesIO(b"escaped"))


def write_broken(path: Path) -> None:
    """The same, and a name that can only be meant to get out."""
    write_hostile(path)
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo("../escaped"))


@pytest.mark.parametrize(("master", "code"), [(write_plain, 0), (write_hostile, 0), (write_broken, 1)])
def test_nothing_outside_build_is_written(
    workshop: Workshop, tmp_path: Path, master: Callable[[Path], None], code: int
) -> None:
    master(workshop.folder / "debian.tar")
    trace = tmp_path / "trace"
    calls = ",".join(f"?{call}" for call in ("open", "openat", *WRITING))
    strace: list[str | Path] = ["strace", "-f", "-y", "-s", "4096", "-o", trace, "-e", f"trace={calls}"]
    doit = [sys.executable, "-B", "-m", "doit"]
    completed = subprocess.run([*strace, *doit], cwd=workshop.folder, capture_output=True, text=True, check=False)
    assert completed.returncode == code, completed.stdout + completed.stderr
    assert "Traceback" not in completed.stdout + completed.stderr
    build = workshop.folder / "build"
    paths = set(written(trace, workshop.folder))
    assert len(paths) > 5, "the watch sees what is written"
    assert {path for path in paths if not path.is_relative_to(build)} - {Path("/dev/null")} == set()

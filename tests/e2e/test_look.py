"""`doit files`, `doit cat` and `doit get`: what is on a guest's disk, as a user sees it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, TINY_LIST, Workshop


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A farm of which deb01's root disk is built, with a program in it that is no text."""
    workshop = Workshop(tmp_path_factory.mktemp("farm"))
    (workshop.folder / "dodo.py").write_text((ROOT / "dodo.py").read_text())
    workshop.write_list(TINY_LIST)
    workshop.write_master({"bin": None, "bin/program": bytes(range(256)) * 100})
    workshop.doit("root:deb01")
    return workshop


def test_files(built: Workshop) -> None:
    lines = built.doit("files", "deb01", "/etc").output.splitlines()
    assert lines[0] == f"files: reading {built.path('guests/deb01/root.img')}, as built"
    names = [line.split()[6] for line in lines[1:]]
    assert {"/etc/hostname", "/etc/motd", "/etc/network"} <= set(names)
    (motd,) = (line for line in lines if line.endswith("motd"))
    assert motd.split()[:4] == ["-rw-r--r--", "0", "0", "8"]


def test_files_below(built: Workshop) -> None:
    names = built.doit("files", "deb01", "-R", "--names").output.splitlines()[1:]
    assert "/etc/network/interfaces" in names
    assert names == list(dict.fromkeys(names))


def test_cat(built: Workshop) -> None:
    assert built.doit("cat", "deb01", "/etc/hostname", "etc/motd").output.endswith("deb01\nwelcome\n")


def test_cat_is_byte_for_byte(built: Workshop) -> None:
    argv = [sys.executable, "-m", "doit", "cat:deb01", "/bin/program"]
    completed = subprocess.run(argv, cwd=built.folder, capture_output=True, check=True)
    assert completed.stdout == bytes(range(256)) * 100


def test_cat_into_what_ends_early(built: Workshop) -> None:
    script = f"{sys.executable} -m doit cat deb01 /bin/program | head -c 3"
    completed = subprocess.run(["bash", "-c", script], cwd=built.folder, capture_output=True, check=True)
    assert completed.stdout == b"\0\1\2"
    assert completed.stderr.count(b"\n") == 1


def test_get(built: Workshop) -> None:
    built.doit("get", "deb01", "/etc/motd", "here")
    assert (built.folder / "here").read_bytes() == b"welcome\n"
    built.doit("get", "deb01", "/etc", "copy")
    assert (built.folder / "copy/hostname").read_text() == "deb01\n"
    built.doit("get", "deb01", "/etc/motd", "/bin/program", "copy")
    assert (built.folder / "copy/program").read_bytes() == bytes(range(256)) * 100


def test_get_to_where_the_user_is(built: Workshop) -> None:
    (built.folder / "below").mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "doit", "--seek-file", "get", "deb01", "/etc/motd", "."]
    subprocess.run(argv, cwd=built.folder / "below", check=True)
    assert (built.folder / "below/motd").exists()


def test_in_use(built: Workshop) -> None:
    with built.path("guests/deb01/root.img").open("rb+"):
        run = built.doit("cat", "deb01", "/etc/hostname")
    assert "root.img is in use by process" in run.output.splitlines()[1]
    assert run.output.endswith("deb01\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["files"], "too few arguments for doit files; use doit files GUEST [PATH ...]"),
        (["cat", "deb01"], "too few arguments for doit cat; use doit cat GUEST PATH ..."),
        (["get", "deb01", "/etc/motd"], "too few arguments for doit get; use doit get GUEST PATH ... DESTINATION"),
        (["files", "dbe01"], "no such guest in the list: 'dbe01'; did you mean 'deb01'?"),
        (["files", "deb*"], "deb* is more than one guest; name one"),
        (["files", "deb01", "/nowhere"], "there is no /nowhere on the disk"),
        (["cat", "deb01", "/etc"], "there is no file '/etc' in the file system"),
        (["get", "deb01", "/", "."], "/ has no name of its own; name what is to be made, as ./deb01-root"),
        (["get", "deb01", "/etc/motd", "none/motd"], "No such file or directory"),
        (["get", "deb01", "/etc/motd", "/etc/hostname", "none"], "none is no folder; several files are copied"),
        (["files", "web01"], "root.img is not built yet; run doit first"),
    ],
)
def test_mistakes(arguments: list[str], message: str, built: Workshop) -> None:
    run = built.doit(*arguments, check=False)
    assert run.code == 2
    assert message in run.output.splitlines()[-1]
    assert "Traceback" not in run.output


def test_nothing_is_changed(built: Workshop) -> None:
    image: Path = built.path("guests/deb01/root.img")
    before = image.stat()
    built.doit("files", "deb01", "-R")
    assert (image.stat().st_mtime_ns, image.stat().st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)
    assert built.doit("root:deb01").executed == []

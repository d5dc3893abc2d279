"""build/ and keys/ are one farm's: another list in the same folder neither builds over it nor takes its keys."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop
from tests.machine import need_programs

LIST = """\
farm: {farm}
masters: {{debian: {{tar: debian.tar}}}}
defaults: {{master: debian, root: 16M, swap: 1M, network: {{bridge: xenbr0}}}}
guests:
  deb01: {{address: 10.0.0.11/24}}
  {guest}: {{address: 10.0.0.12/24}}
"""


@pytest.fixture
def two(workshop: Workshop) -> Workshop:
    """A folder with two lists, of which the first, with host keys, is built."""
    need_programs("ssh-keygen")
    workshop.write_master({"usr/sbin": None, "usr/sbin/sshd": b""})
    workshop.write_list(LIST.format(farm="first", guest="deb02"))
    (workshop.folder / "b.yaml").write_text(LIST.format(farm="second", guest="web01"))
    workshop.doit()
    return workshop


def contents(folder: Path) -> dict[str, bytes]:
    """The files in `folder`, without what each run may write."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in files.items()
        if not name.startswith(("catalogue", "logs", "state.", ".lock"))
    }


@pytest.mark.parametrize("is_marked", [True, False], ids=["marked", "of an earlier version"])
def test_another_farm_is_refused(two: Workshop, is_marked: bool) -> None:
    if not is_marked:
        two.path(".farm").unlink()
    build, keys = contents(two.folder / "build"), contents(two.folder / "keys")
    for arguments in (
        ["root:deb01"],
        ["clean"],
        ["forget", "root:deb01"],
        ["prune", "--yes", "--modified"],
        ["manifest"],
        ["plan"],
    ):
        run = two.doit("guests=b.yaml", *arguments, check=False)
        assert run.code == 2
        assert run.executed == []
        lines = run.output.splitlines()
        what = "is the build of farm 'first', not 'second'" if is_marked else "was built for another farm than 'second'"
        assert [line.partition(";")[0] for line in lines] == [
            f"{two.folder}/build {what}",
            f"{two.folder}/keys has the host keys of farm 'first', not 'second'",
        ]
        assert f"name another folder with: doit build={two.folder}/build-second; " in lines[0]
        assert f"name another folder with: doit keys={two.folder}/keys-second; " in lines[1]
    assert (contents(two.folder / "build"), contents(two.folder / "keys")) == (build, keys)
    assert two.doit().executed == []


def test_the_options_that_the_refusal_names(two: Workshop) -> None:
    output = two.doit("guests=b.yaml", check=False).output
    options = re.findall(r"doit (\w+=[^;]*);", output)
    run = two.doit("guests=b.yaml", *options)
    assert "root:web01" in run.executed
    one, other = (two.folder / f"{name}/deb01/ssh_host_ed25519_key" for name in ("keys", "keys-second"))
    assert one.read_bytes() != other.read_bytes()
    assert two.doit("guests=b.yaml", *options).executed == []
    assert two.doit().executed == []


def test_keys_are_refused_only_where_there_are_any(two: Workshop) -> None:
    text = (two.folder / "b.yaml").read_text().replace("swap: 1M", "swap: 1M, host_keys: []")
    (two.folder / "b.yaml").write_text(text)
    assert two.doit("guests=b.yaml", "build=other").code == 0


def test_a_farm_that_was_renamed(two: Workshop) -> None:
    before = (two.folder / "keys/deb01/ssh_host_ed25519_key").read_bytes()
    two.change_list("farm: first", "farm: third")
    output = two.doit(check=False).output
    for command in re.findall(r"say so with: (.*)", output):
        subprocess.run(["sh", "-c", command], check=True)
    assert "root:deb01" in two.doit().executed
    assert (two.folder / "keys/deb01/ssh_host_ed25519_key").read_bytes() == before


def forget_farm(workshop: Workshop) -> None:
    """Make build/ and keys/ as an earlier version left them."""
    for folder in ("build", "keys"):
        (workshop.folder / folder / ".farm").unlink()


def test_what_an_earlier_version_built_is_adopted(two: Workshop) -> None:
    forget_farm(two)
    two.doit("status")
    assert not two.path(".farm").exists(), "who only looks writes nothing"
    assert two.doit().executed == []
    assert {(two.folder / folder / ".farm").read_text() for folder in ("build", "keys")} == {"first\n"}


def test_a_mark_that_was_half_written(two: Workshop) -> None:
    for folder in ("build", "keys"):
        (two.folder / folder / ".farm").write_text("")
    assert two.doit().executed == []
    assert two.path(".farm").read_text() == "first\n"


def test_a_mark_that_is_no_file(two: Workshop) -> None:
    two.path(".farm").unlink()
    two.path(".farm").symlink_to("/etc/passwd")
    run = two.doit(check=False)
    assert (run.code, run.output.count("\n")) == (2, 1)
    assert "root:" not in run.output


def test_another_build_of_the_same_farm_shares_its_keys(two: Workshop) -> None:
    two.doit("build=again")
    assert (
        contents(two.folder / "again")["guests/deb01/ssh_host_keys.pub"]
        == contents(two.folder / "build")["guests/deb01/ssh_host_keys.pub"]
    )


def test_where_keys_are_is_no_matter_of_the_build(two: Workshop) -> None:
    shutil.move(two.folder / "keys", two.folder / "elsewhere")
    two.doit("keys=elsewhere")
    assert not (two.folder / "keys").exists()
    assert two.doit("keys=elsewhere").executed == []

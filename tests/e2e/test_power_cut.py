"""What is on the disk when the power is cut is enough to go on: a run knows what it made, and what it did not."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop
from tests.e2e.test_interrupted import artifacts
from tests.e2e.test_touched import EVERYTHING, ROOT_DISK, write

SAVES = """
import shutil
from pathlib import Path
from pipeline.engine.state.state import State
announce = State._announce
def announced(state):
    announce(state)
    for file in Path('build').glob('state.db*'):
        shutil.copy(file, Path('synced') / file.name)
State._announce = announced
"""
"""At the end of a dodo.py: keeps what the state was when it was last synced, before the first task starts."""


def cut(workshop: Workshop) -> None:
    """Have the state as it is on the disk after a power failure: all that was not synced is lost."""
    for file in (workshop.folder / "build").glob("state.db*"):
        file.unlink()
    for file in (workshop.folder / "synced").iterdir():
        shutil.move(file, workshop.folder / "build")


@pytest.fixture
def saving(workshop: Workshop) -> Workshop:
    """A workshop that keeps what its runs have synced of the state."""
    (workshop.folder / "synced").mkdir()
    with (workshop.folder / "dodo.py").open("a") as dodo:
        dodo.write(SAVES)
    return workshop


def test_the_first_build_goes_on(saving: Workshop) -> None:
    saving.doit("-n", "2")
    before = artifacts(saving.folder / "build")
    cut(saving)
    draft = saving.path("guests/deb01/.root.img.draft-1")
    draft.touch()
    assert len(saving.doit().executed) == EVERYTHING
    assert artifacts(saving.folder / "build") == before
    assert not draft.exists()
    cut(saving)
    saving.change_list("gateway: 10.0.0.1", "gateway: 10.0.0.2")
    assert len(saving.doit().executed) == EVERYTHING, "whatever the list says by then"


def test_a_later_build_goes_on(saving: Workshop) -> None:
    saving.doit()
    shutil.rmtree(saving.folder / "synced")
    (saving.folder / "synced").mkdir()
    saving.change_list("10.0.0.11/24", "10.0.0.99/24")
    before = artifacts(saving.folder / "build")
    assert saving.doit().executed == ["root:deb01"]
    cut(saving)
    # What the state says was made is not what is there.
    saving.change_list("10.0.0.99/24", "10.0.0.11/24")
    assert saving.doit().executed == ["root:deb01"]
    assert artifacts(saving.folder / "build") == before


def test_what_a_guest_wrote_to_meanwhile_is_left_alone(saving: Workshop) -> None:
    saving.doit()
    cut(saving)
    disk = saving.path(ROOT_DISK)
    write(disk)
    contents = disk.read_bytes()
    run = saving.doit("--continue", check=False)
    assert run.code == 2
    assert len(run.executed) == EVERYTHING - 1
    assert disk.read_bytes() == contents


def test_it_is_synced_before_anything_has_its_name_and_once_in_a_run(workshop: Workshop, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat"
    run = [sys.executable, "-m", "doit"]
    subprocess.run(["strace", "-f", "-y", "-o", trace, "-e", calls, *run], cwd=workshop.folder, check=True)
    lines = trace.read_text().splitlines()
    build = re.escape(str(workshop.folder / "build"))
    names = [at for at, line in enumerate(lines) if re.search(r"rename.*\.draft-", line)]
    log = [at for at, line in enumerate(lines) if re.search(rf"sync\(\d+<{build}/state\.db-wal>", line)]
    before = [at for at in log if at < names[0]]
    assert before, "what the run publishes is on the disk before it publishes it"
    assert any(re.search(rf"sync\(\d+<{build}>", line) for line in lines[: names[0]]), "and so is the name of that file"
    made = next(at for at, line in enumerate(lines) if re.search(rf'mkdir\("{build}"|mkdir\("build"', line))
    folder = re.escape(str(workshop.folder))
    assert any(re.search(rf"sync\(\d+<{folder}>", line) for line in lines[made : names[0]]), "and that of its folder"
    assert [at for at in log if names[0] < at < names[-1]] == [], "tasks do not wait for it"

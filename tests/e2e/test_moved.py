"""A farm that was moved, copied or restored stays what it is; what a guest wrote to is left alone there, too."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop, new_workshop
from tests.e2e.test_touched import ROOT_DISK, TASK, write

GUESTS = ["deb01", "deb02", "web01", "web02", "web03"]


def images(build: Path) -> dict[str, bytes]:
    """What artifacts hold, by their names."""
    found = [path for folder in ("masters", "bases", "guests") for path in (build / folder).rglob("*")]
    return {str(path.relative_to(build)): path.read_bytes() for path in found if path.is_file()}


def run(*argv: str | Path) -> None:
    subprocess.run(argv, check=True)


def move(old: Path, new: Path) -> None:
    old.rename(new)


def copy(old: Path, new: Path) -> None:
    run("cp", "-a", old, new)


def copy_without_times(old: Path, new: Path) -> None:
    """What checkouts and caches of continuous integration do; hard links become files of their own."""
    shutil.copytree(old, new, symlinks=True, copy_function=shutil.copy)


def restore(old: Path, new: Path) -> None:
    """As from a backup: GNU's format keeps times in seconds."""
    archive = new.with_suffix(".tar")
    new.mkdir()
    run("tar", "-C", old, "--format=gnu", "-cf", archive, ".")
    run("tar", "-C", new, "-xf", archive)


def restore_without_times(old: Path, new: Path) -> None:
    archive = new.with_suffix(".tar")
    new.mkdir()
    run("tar", "-C", old, "-cf", archive, ".")
    run("tar", "-C", new, "-xmf", archive)


WAYS = [move, copy, copy_without_times, restore, restore_without_times]


def moved(workshop: Workshop, way: Callable[[Path, Path], None]) -> Workshop:
    """The farm in another place, where it got by `way`."""
    place = workshop.folder.with_name("elsewhere")
    way(workshop.folder, place)
    return Workshop(place)


@pytest.fixture
def farm(tmp_path: Path) -> Workshop:
    """A tiny farm, built, with room beside it."""
    folder = tmp_path / "farm"
    folder.mkdir()
    workshop = new_workshop(folder)
    workshop.doit()
    return workshop


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_made_again(farm: Workshop, way: Callable[[Path, Path], None]) -> None:
    before = images(farm.folder / "build")
    elsewhere = moved(farm, way)
    assert elsewhere.doit("status").output.endswith("fresh\n")
    assert elsewhere.doit().executed == []
    assert images(elsewhere.folder / "build") == before
    assert elsewhere.doit().output.startswith("nothing to do")


def test_what_the_list_changes_is_made_again(farm: Workshop) -> None:
    elsewhere = moved(farm, copy_without_times)
    elsewhere.change_list("gateway: 10.0.0.1", "gateway: 10.0.0.2")
    assert elsewhere.doit().executed == [f"root:{guest}" for guest in GUESTS]


@pytest.mark.parametrize(
    ("way", "when"), [(move, "before"), (move, "after"), (copy, "before"), (copy_without_times, "after")]
)
def test_what_a_guest_wrote_to_is_left_alone(farm: Workshop, way: Callable[[Path, Path], None], when: str) -> None:
    if when == "before":
        write(farm.path(ROOT_DISK))
    elsewhere = moved(farm, way)
    disk = elsewhere.path(ROOT_DISK)
    if when == "after":
        write(disk)
    contents = disk.read_bytes()
    elsewhere.change_list("gateway: 10.0.0.1", "gateway: 10.0.0.2")
    for arguments in (("--continue",), ("reset-dep",), ("forget",), ("-a", TASK)):
        ended = elsewhere.doit(*arguments, check=False)
        assert TASK not in ended.executed
        assert f"{disk}: modified since it was made" in ended.output
        assert disk.read_bytes() == contents


def test_two_copies_know_nothing_of_each_other(farm: Workshop) -> None:
    elsewhere = moved(farm, copy)
    write(elsewhere.path(ROOT_DISK))
    assert farm.doit().executed == []
    assert elsewhere.doit(check=False).code == 2
    before = images(farm.folder / "build")
    elsewhere.doit("forget", TASK)
    assert elsewhere.doit().executed == [TASK]
    assert images(farm.folder / "build") == before


def test_contents_are_read_once(farm: Workshop) -> None:
    elsewhere = moved(farm, copy_without_times)
    elsewhere.doit()
    trace = elsewhere.folder / "trace"
    doit = (sys.executable, "-m", "doit", "-f", elsewhere.folder / "dodo.py")
    run("strace", "-f", "-o", trace, "-e", "trace=openat", *doit)
    assert "build/state.db" in trace.read_text()
    assert "root.img" not in trace.read_text()


def test_another_list_folder_and_another_build_folder(tmp_path: Path) -> None:
    list_folder, build = tmp_path / "lists", tmp_path / "built"
    tool = tmp_path / "tool"
    for folder in (list_folder, tool):
        folder.mkdir()
    workshop = new_workshop(list_folder)
    shutil.move(list_folder / "dodo.py", tool)
    tools = Workshop(tool)
    assert len(tools.doit(f"guests={workshop.folder / 'guests.yaml'}", f"build={build}").executed) == 20
    for old in (list_folder, build):
        old.rename(old.with_name(f"{old.name} of others"))
    place = [f"guests={list_folder} of others/guests.yaml", f"build={build} of others"]
    assert tools.doit(*place).executed == []


def test_a_link_in_place_of_the_build_folder(farm: Workshop) -> None:
    build = farm.folder / "build"
    shutil.move(build, build.with_name("large disk"))
    build.symlink_to("large disk")
    assert farm.doit().executed == []
    write(farm.path(ROOT_DISK))
    assert farm.doit(check=False).code == 2


def test_a_bootstrap_master_is_not_made_again_for_its_keyring(farm: Workshop) -> None:
    """What it is made from has a path in it; the master itself comes from the network."""
    elsewhere = farm.folder.with_name("elsewhere")
    (farm.folder / "dodo.py").write_text(
        "from pipeline.engine import Located, artifact, artifacts, configuration, located\n"
        "from pathlib import Path\n"
        "here = Path(__file__).parent\n"
        "located(here)\n"
        "DOIT_CONFIG = configuration(here / 'build')\n"
        "@artifacts\n"
        "def task_master():\n"
        "    inputs = {'packages': {'keyring': Located(here / 'keys.gpg'), 'run': ['{list}/x', '{', '{text}']}}\n"
        "    yield artifact('m', 'a master', (here / 'built').touch, targets=[here / 'built'], inputs=inputs)\n"
    )
    assert farm.doit().executed == ["master:m"]
    farm.folder.rename(elsewhere)
    assert Workshop(elsewhere).doit().executed == []


def earlier(workshop: Workshop) -> None:
    """Make the state what an earlier version wrote: tables without a number, absolute paths, no digests."""
    connection = sqlite3.connect(workshop.path("state.db"))
    build, folder = str(workshop.folder / "build"), str(workshop.folder)
    records = []
    for name, text in connection.execute("select name, record from task"):
        text = text.replace("{build}", build).replace("{list}", folder)  # noqa: PLW2901  # as it was then
        head, _, rest = text.partition(', "digests": {')
        records.append((f"{head}{rest[rest.index('}') + 1 :]}", name))
    connection.executemany("update task set record = ? where name = ?", records)
    connection.executescript(
        "drop table begun; drop table run; drop table content; pragma user_version = 0;"
        "create table restart (name text primary key, folders text not null) without rowid;"
        f"insert into restart values ('root:gone', '[\"{build}/guests/gone\"]');"
    )
    connection.close()


@pytest.mark.parametrize("way", [None, move], ids=["there", "moved"])
def test_what_an_earlier_version_built_is_adopted(farm: Workshop, way: Callable[[Path, Path], None] | None) -> None:
    earlier(farm)
    elsewhere = farm if way is None else moved(farm, way)
    assert elsewhere.doit().executed == []
    elsewhere.doit("reset-dep")
    elsewhere.folder.rename(elsewhere.folder.with_name("third"))
    third = moved(Workshop(elsewhere.folder.with_name("third")), copy)
    assert third.doit().executed == []


def test_a_copy_of_what_an_earlier_version_built_is_refused_in_a_line(farm: Workshop) -> None:
    earlier(farm)
    elsewhere = moved(farm, copy)
    before = images(elsewhere.folder / "build")
    ended = elsewhere.doit(check=False)
    assert ended.code == 2
    digest = elsewhere.path("masters/debian/digest")
    assert f"{digest}: not on record as it is" in ended.output
    assert "doit forget master:debian" in ended.output
    assert images(elsewhere.folder / "build") == before
    elsewhere.path(".").rename(elsewhere.folder / "kept")
    assert len(elsewhere.doit().executed) == 20


def test_a_later_version_is_refused_in_a_line(farm: Workshop) -> None:
    connection = sqlite3.connect(farm.path("state.db"))
    connection.execute("pragma user_version = 99")
    connection.close()
    for arguments in ((), ("status",), ("forget", TASK)):
        ended = farm.doit(*arguments, check=False)
        assert ended.code == 2
        assert len(ended.output.splitlines()) == 1
        assert "written by a later version of Guestfarm" in ended.output


def test_a_farm_that_was_copied_while_it_was_built(farm: Workshop) -> None:
    """What began there has drafts there; a copy looks for its own only."""
    farm.change_list("gateway: 10.0.0.1", "gateway: 10.0.0.2")
    elsewhere = moved(farm, copy)
    connection = sqlite3.connect(elsewhere.path("state.db"))
    known = f'{{"folders": ["{farm.folder}/build/guests/deb01", "{{build}}/guests/deb02"]}}'
    connection.execute("insert into begun values ('root:web03', ?)", (known,))
    connection.commit()
    connection.close()
    foreign, own = (each.path("guests") for each in (farm, elsewhere))
    drafts = [foreign / "deb01/.root.img.draft-1", own / "deb02/.root.img.draft-1"]
    for draft in drafts:
        draft.touch()
    elsewhere.doit("swap:deb01")
    assert [draft.exists() for draft in drafts] == [True, False]

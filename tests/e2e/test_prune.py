"""`doit prune`: what left the list is shown, and removed when told to; what somebody wrote to needs telling twice."""

from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop

GUEST = "  deb02: {address: 10.0.0.12/24}\n"


def files(workshop: Workshop, folder: str) -> list[str]:
    return sorted(path.name for path in workshop.path(folder).rglob("*"))


@pytest.fixture
def left(built: Workshop) -> Workshop:
    """A farm that deb02 has left."""
    built.change_list(GUEST, "")
    return built


def test_nothing_to_prune(built: Workshop) -> None:
    assert built.doit("prune").output == "nothing is left behind\n"
    assert built.doit("prune", "--yes").output == "nothing is left behind\n"


def test_it_only_shows(left: Workshop) -> None:
    before = files(left, "guests")
    run = left.doit("prune")
    assert f"{left.path('guests/deb02/root.img')}\n" in run.output
    assert "5 files" in run.output
    assert "3 records" in run.output
    assert "doit prune --yes" in run.output
    assert files(left, "guests") == before


def test_it_removes(left: Workshop) -> None:
    others = [path for path in (left.folder / "build").rglob("*") if path.is_file() and "deb02" not in path.parts]
    left.doit("manifest")
    left.doit("prune", "--yes")
    assert not left.path("guests/deb02").exists()
    assert all(path.exists() for path in others)
    assert left.doit("prune").output == "nothing is left behind\n"
    assert left.doit().executed == []


def test_a_guest_comes_back(left: Workshop) -> None:
    left.doit("prune", "--yes")
    left.change_list("guests:\n", f"guests:\n{GUEST}")
    assert left.doit().executed == ["root:deb02", "swap:deb02", "config:deb02"]


def test_bases_and_masters(built: Workshop) -> None:
    built.change_list("root: 16M", "root: 24M")
    built.doit()
    run = built.doit("prune", "--yes")
    assert run.output.count("debian-ext4-16M/") == 3
    assert not built.path("bases/debian-ext4-16M").exists()
    assert built.path("bases/debian-ext4-24M/root.img").exists()


def modify(path: Path) -> None:
    path.chmod(0o600)
    with path.open("ab") as file:
        file.write(b"precious")


def test_a_modified_one_stays(left: Workshop) -> None:
    disk = left.path("guests/deb02/root.img")
    modify(disk)
    run = left.doit("prune", "--yes", check=False)
    assert run.code == 1
    assert "needs --modified" in run.output
    assert files(left, "guests/deb02") == ["root.img"]
    assert left.doit("prune", "--yes", "--modified").code == 0
    assert not disk.exists()


def test_a_strangers_file_counts_as_modified(built: Workshop) -> None:
    stranger = built.path("guests/deb01/notes.txt")
    stranger.write_text("mine")
    assert built.doit("prune", "--yes", check=False).code == 1
    assert stranger.read_text() == "mine"


def test_one_in_use_stays_whatever_the_options(left: Workshop) -> None:
    disk = left.path("guests/deb02/root.img")
    with disk.open("r+b"):
        run = left.doit("prune", "--yes", "--modified", check=False)
    assert run.code == 1
    assert "in use by process" in run.output
    assert disk.exists()

"""`doit init`: the files of a new farm, and none over one that is there."""

from importlib.resources import files
from pathlib import Path

import pytest

from pipeline.commands.init import Init
from tests import command_line

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> int:
    return command_line.run(Init, "init", *arguments)


def test_the_example_is_that_of_the_checkout() -> None:
    example = files("pipeline.commands").joinpath("guests.yaml").read_text()
    assert example == (ROOT / "guests.yaml").read_text()


def test_a_new_farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run() == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitignore", "dodo.py", "guests.yaml"]
    assert "from pipeline.dodo import *" in (tmp_path / "dodo.py").read_text()
    assert capsys.readouterr().out.endswith("edit guests.yaml, then: doit\n")


def test_what_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a farm"
    folder.mkdir()
    (folder / "guests.yaml").write_text("mine")
    (folder / "dodo.py").symlink_to("nowhere")
    assert run(str(folder)) == 0
    assert (folder / "guests.yaml").read_text() == "mine"
    assert (folder / "dodo.py").is_symlink()
    assert f"cd '{folder}' && doit" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["a", "b"], ["file"], ["file/below"]])
def test_what_cannot_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert run(*arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1

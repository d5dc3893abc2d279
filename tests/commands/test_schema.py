"""`doit schema`, as users type it."""

import json
from functools import partial
from pathlib import Path

import pytest

from pipeline.commands.schema import Schema
from pipeline.guestlist.export.json_schema import DIALECT
from pipeline.guestlist.export.reference import reference
from pipeline.hypervisors import BY_NAME
from tests import command_line

pytestmark = pytest.mark.unit

run = partial(command_line.run, Schema, "schema")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"] == DIALECT
    assert "qemu" in json.dumps(schema["$defs"]["guest"]["properties"]["hypervisors"])


@pytest.mark.parametrize("name", ["schema.json", "new/schema.json"])
def test_it_is_written_to_a_file_as_often_as_asked(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (run("-o", name), run("--output", name)) == (0, 0)
    assert json.loads((folder / name).read_text())["$schema"] == DIALECT
    assert capsys.readouterr().out == ""


def test_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--markdown") == 0
    assert capsys.readouterr().out == reference(BY_NAME)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["schema.json"], "unknown argument 'schema.json'; to write a file, use doit schema -o FILE\n"),
        (["-o", "."], ". is a folder; name a file\n"),
    ],
)
def test_bad_arguments(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert capsys.readouterr().err == error

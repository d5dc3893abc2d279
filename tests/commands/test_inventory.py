"""`doit inventory`, as users type it."""

from functools import partial
from pathlib import Path

import pytest

from pipeline.commands.inventory import Inventory
from tests import command_line

pytestmark = pytest.mark.unit

LIST = """\
farm: f
masters: {m: {bootstrap: {suite: sid}}}
defaults: {master: m, network: {bridge: xenbr0}}
guests: {"web[1:3]": {address: "10.0.0.[1:3]/24"}, db: {address: 10.0.0.9/24}}
"""


run = partial(command_line.run, Inventory, "inventory")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "guests.yaml").write_text(LIST)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "names"),
    [([], ["web1", "web2", "web3", "db"]), (["web[13]", "db"], ["web1", "web3", "db"]), (["db", "d*"], ["db"])],
)
def test_all_or_some(arguments: list[str], names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--format", "hosts", *arguments) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]] == names


def test_to_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-o", "inventory.yaml") == 0
    assert (folder / "inventory.yaml").read_text().splitlines()[1] == "all:"
    assert capsys.readouterr().out == ""


def test_another_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "guests.yaml").rename(folder / "site.yaml")
    assert run("--format=hosts", "guests=site.yaml", "db") == 0
    assert capsys.readouterr().out == "# Farm f, by doit inventory\n10.0.0.9\tdb\n"


def test_a_guest_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("wbe1") == 2
    assert capsys.readouterr().err == "no such guest in the list: 'wbe1'; did you mean 'web1'?\n"


def test_a_bad_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "guests.yaml").write_text(LIST.replace("farm", "fram"))
    assert run() == 2
    assert capsys.readouterr().err.startswith("guests.yaml:1:1: ")


def test_a_format_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--format", "ini") != 0
    assert "ansible, hosts, dnsmasq, dhcpd" in capsys.readouterr().err

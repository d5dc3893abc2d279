"""`doit mac`, as users type it."""

import re
from functools import partial
from pathlib import Path

import pytest

from pipeline.commands.mac import Mac
from tests import command_line

pytestmark = pytest.mark.unit

OURS = re.compile("00:16:3e:[0-7][0-9a-f]:[0-9a-f]{2}:[0-9a-f]{2}")

# One guest pins an address, the other derives 00:16:3e:60:e9:90.
LIST = """\
farm: example
masters: {debian: {bootstrap: {suite: bookworm}}}
defaults: {master: debian, network: {bridge: xenbr0}}
guests: {deb01: {address: dhcp}, deb02: {address: dhcp, mac: "00:16:3e:00:00:01"}, deb03: {network: none}}
"""


run = partial(command_line.run, Mac)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_address_without_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mac") == 0
    assert OURS.fullmatch(capsys.readouterr().out.rstrip("\n"))


@pytest.mark.parametrize("arguments", [["mac", "-n", "5"], ["mac", "--number=5"]])
def test_as_many_as_asked_for(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(set(lines)) == 5
    assert all(OURS.fullmatch(line) for line in lines)


@pytest.mark.parametrize(("name", "arguments"), [("guests.yaml", ["mac"]), ("site.yaml", ["guests=site.yaml", "mac"])])
def test_addresses_of_the_list_and_those_just_printed_are_left_out(
    name: str,
    arguments: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / name).write_text(LIST)
    numbers = iter([0x000001, 0x60E990, 0x000002, 0x000002, 0x000001, 0x000003])
    monkeypatch.setattr("secrets.randbits", lambda bits: next(numbers))
    assert run(*arguments, "-n", "2") == 0
    assert capsys.readouterr().out == "00:16:3e:00:00:02\n00:16:3e:00:00:03\n"


def test_a_list_with_options_of_hypervisors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "xen: pvh, libvirt: qemu, qemu: {boot: disk}, hypervisors: [xen, libvirt, qemu]"
    (folder / "guests.yaml").write_text(LIST.replace("{bridge: xenbr0}", f"{{bridge: xenbr0}}, {options}"))
    assert run("mac") == 0, capsys.readouterr().err


def test_a_bad_list_is_shown_and_nothing_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "guests.yaml").write_text(LIST + "gests: {}\nfram: x\n")
    assert run("mac") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "guests.yaml:5:1: unknown key 'gests'; did you mean 'guests'?\n"
        "guests.yaml:6:1: unknown key 'fram'; did you mean 'farm'?\n"
    )


def test_a_list_that_was_named_must_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("guests=site.yaml", "mac") == 2
    assert capsys.readouterr().err == "site.yaml: there is no such file; name the list with doit guests=FILE\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["-n", "0"], "-n 0: expected a whole number, 1 to 1000\n"),
        (["-n", "1001"], "-n 1001: expected a whole number, 1 to 1000\n"),
        (["-n", "-3"], "-n -3: expected a whole number, 1 to 1000\n"),
        (["5"], "unknown argument '5'; for five addresses, use doit mac -n 5\n"),
    ],
)
def test_bad_arguments(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mac", *arguments) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", error)


def test_the_most_there_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mac", "-n", "1000") == 0
    assert len(set(capsys.readouterr().out.splitlines())) == 1000

"""What `doit status`, `why` and `plan` say of farms that are built, changed, damaged, and how little they do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop
from tests.e2e.test_stale import ALL, BASE


def conditions(workshop: Workshop, *arguments: str) -> dict[str, tuple[str, list[str]]]:
    """State and reasons of each task, as `doit status --json` has them."""
    told = json.loads(workshop.doit("status", "--json", *arguments).output)
    return {name: (each["state"], each["reasons"]) for name, each in told.items()}


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    found = [path for path in folder.rglob("*") if path.is_file() and "state.db" not in path.name]
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


def test_of_a_farm_that_is_not_built(workshop: Workshop) -> None:
    assert all(each == ("missing", ["never built"]) for each in conditions(workshop).values())
    assert workshop.doit("status").output.splitlines()[-1] == "5 guests, 20 artifacts: 20 missing"
    assert "20 artifacts to build" in workshop.doit("plan").output
    assert not list(workshop.folder.glob("build/*/*"))


def test_of_a_farm_that_is_built(built: Workshop) -> None:
    before = files(built.folder)
    assert {state for state, _ in conditions(built).values()} == {"fresh"}
    assert conditions(built).keys() == set(ALL)
    assert conditions(built, "--stale") == {}
    assert built.doit("why").output == "all 20 artifacts are fresh\n"
    assert built.doit("why", "root:deb01").output.startswith("root:deb01 is fresh")
    assert built.doit("plan").output == "nothing to build\n"
    assert files(built.folder) == before
    assert built.doit().executed == []


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        pytest.param(
            lambda farm: farm.change_list("10.0.0.11/24", "10.0.0.99/24"),
            {"root:deb01": ("stale", ["address changed from 10.0.0.11/24 to 10.0.0.99/24"])},
            id="address",
        ),
        pytest.param(
            lambda farm: farm.change_list("deb01: {", "deb01: {memory: 1G, "),
            {"config:deb01": ("stale", ["memory changed from 512M to 1G"])},
            id="memory",
        ),
        pytest.param(
            lambda farm: farm.change_list("  deb02:", "  deb03: {address: 10.0.0.13/24}\n  deb02:"),
            {f"{kind}:deb03": ("missing", ["never built"]) for kind in ("root", "swap", "config")},
            id="guest",
        ),
        pytest.param(
            lambda farm: farm.path("guests/deb01/deb01.cfg").unlink(),
            {"config:deb01": ("missing", ["{build}/guests/deb01/deb01.cfg is missing"])},
            id="file removed",
        ),
        pytest.param(
            lambda farm: farm.path("guests/deb01/swap.img").chmod(0o600),
            {"swap:deb01": ("modified", ["{build}/guests/deb01/swap.img was modified since it was made"])},
            id="disk made writable",
        ),
        pytest.param(
            lambda farm: farm.doit("forget", "swap:deb01"),
            {"swap:deb01": ("missing", ["forgotten, or interrupted"])},
            id="forgotten",
        ),
        pytest.param(
            lambda farm: farm.doit("ignore", "swap:deb01"),
            {"swap:deb01": ("ignored", ["doit ignore said so"])},
            id="ignored",
        ),
    ],
)
def test_of_a_change(
    built: Workshop, change: Callable[[Workshop], None], stale: dict[str, tuple[str, list[str]]]
) -> None:
    change(built)
    build = str(built.path(""))
    expected = {
        name: (state, [reason.replace("{build}", build) for reason in reasons])
        for name, (state, reasons) in stale.items()
    }
    assert conditions(built, "--stale") == expected
    why = built.doit("why").output
    for name, (_, reasons) in expected.items():
        assert name in why
        assert all(reason in why for reason in reasons)
    made = {name for name, (state, _) in stale.items() if state in ("stale", "missing")}
    assert set(built.doit(check=False).executed) == made


def test_a_changed_master_is_the_cause_of_all_that_is_made_from_it(built: Workshop) -> None:
    built.write_master({"etc/motd": b"new\n"})
    told = conditions(built, "--stale")
    assert told["master:debian"] == ("stale", [f"{built.folder}/debian.tar changed"]) or told["master:debian"] == (
        "stale",
        ["debian.tar changed"],
    )
    assert {name.partition(":")[0] for name in told} == {"master", "kernel", "populate", "root", "config"}
    story = built.doit("why", "root:deb01").output.splitlines()
    assert [line.split()[0] for line in story if "changed" not in line] == [
        "root:deb01",
        f"populate:{BASE}",
        "master:debian",
    ]
    assert "at most 13 artifacts to build" in built.doit("plan").output
    built.doit()
    assert conditions(built, "--stale") == {}


def test_a_plan_of_some(built: Workshop) -> None:
    built.change_list("10.0.0.11/24", "10.0.0.99/24")
    assert built.doit("plan", "deb02").output == "nothing to build\n"
    lines = built.doit("plan", "deb01").output.splitlines()
    assert lines[1].split()[:2] == ["root", "1"]
    assert lines[-1].endswith("it fits")


def test_a_plan_tells_what_would_fail(built: Workshop) -> None:
    built.path("guests/deb01/swap.img").chmod(0o600)
    assert "swap:deb01: doit fails for it: " in built.doit("plan", check=False).output


def test_it_looks_while_another_builds(built: Workshop) -> None:
    lock = built.path("state.lock")
    before = lock.read_text()
    built.doit("status")
    built.doit("why")
    assert lock.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status", "web99"), "no such guest in the list: 'web99'; did you mean 'web03'?\n"),
        (("why", "root:web99"), "no such task: 'root:web99'; did you mean 'root:web03'?\n"),
        (("plan", "nosuch"), "no such task or guest: 'nosuch'\n"),
    ],
)
def test_what_is_not_there(workshop: Workshop, arguments: tuple[str, ...], message: str) -> None:
    run = workshop.doit(*arguments, check=False)
    assert (run.code, run.output) == (2, message)


def test_guests_of_a_table(built: Workshop) -> None:
    built.change_list("10.0.0.11/24", "10.0.0.99/24")
    built.change_list("deb02: {", "deb02: {swap: none, ")
    lines = [line.split() for line in built.doit("status", "deb*").output.splitlines()]
    assert lines[0] == ["guest", "root", "swap", "config", "why"]
    assert lines[1][:5] == ["deb01", "stale", "fresh", "fresh", "address"]
    assert lines[2][:4] == ["deb02", "stale", "-", "stale"]

"""`doit VERB:GUEST` is `doit VERB GUEST` where VERB is a command of ours for guests."""

import pytest

from tests.e2e.conftest import Workshop


@pytest.mark.parametrize(
    ("arguments", "guests"),
    [
        (["manifest:deb01"], ["deb01"]),
        (["manifest:deb02", "manifest:deb01"], ["deb02", "deb01"]),
        (["-n", "2", "manifest:deb01", "manifest:web01"], ["deb01", "web01"]),
        (["manifest:deb01", "-n", "2", "manifest:web01"], ["deb01", "web01"]),
        (["manifest", "deb01", "-n", "2", "web01"], ["deb01", "web01"]),
        (["run", "manifest:deb01"], ["deb01"]),
        (["guests=guests.yaml", "manifest:deb01"], ["deb01"]),
        (["manifest:web*", "manifest:web02"], ["web01", "web02", "web03"]),
    ],
)
def test_the_guests_that_are_named(built: Workshop, arguments: list[str], guests: list[str]) -> None:
    lines = built.doit(*arguments).output.splitlines()
    assert lines == [f"[{number}/{len(guests)}] {name}: written" for number, name in enumerate(guests, 1)]


def test_tasks_stay_tasks(workshop: Workshop) -> None:
    assert workshop.doit("swap:deb01").executed == ["swap:deb01"]


@pytest.mark.parametrize("arguments", [["manifest:dbe01", "manifest:deb01"], ["manifest", "dbe01"]])
def test_a_guest_that_is_not_in_the_list(workshop: Workshop, arguments: list[str]) -> None:
    run = workshop.doit(*arguments, check=False)
    assert (run.code, run.output) == (2, "no such guest in the list: 'dbe01'; did you mean 'deb01'?\n")


def test_what_is_no_verb(workshop: Workshop) -> None:
    run = workshop.doit("prune:deb01", check=False)
    assert run.code == 2
    assert run.output.startswith("no such task: 'prune:deb01'; ")


def test_a_task_beside_a_verb(workshop: Workshop) -> None:
    run = workshop.doit("swap:deb01", "manifest:deb01", check=False)
    assert run.code == 2
    assert run.output.startswith("no such guest in the list: 'swap:deb01'")
    assert not workshop.path("guests").exists()


def test_an_option_that_there_is_not(workshop: Workshop) -> None:
    run = workshop.doit("manifest:deb01", "--nonsense", check=False)
    assert run.code == 2
    assert "option --nonsense is unknown" in run.output

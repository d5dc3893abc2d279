"""Words and values that mean nothing are errors, one line each, and nothing is done: for every command and option."""

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from doit.cmd_base import Command

from pipeline.engine.run.main import carry_out
from tests.e2e.conftest import Workshop, new_workshop

Doit = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A tiny farm, built."""
    workshop = new_workshop(tmp_path_factory.mktemp("farm"))
    workshop.change_list("farm: tiny", f"farm: tiny\nimages: {workshop.folder / 'images'}")
    workshop.doit()
    return workshop


@pytest.fixture
def doit(farm: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Doit]:
    """doit in this process; what it returns is the exit code, and what was printed on the standard error."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.chdir(farm.folder)
        monkeypatch.setattr(sys, "path", [*sys.path])
        for name in ("dodo", "pipeline.dodo"):
            sys.modules.pop(name, None)
        try:
            code = carry_out(arguments)
        except SystemExit as end:
            code = int(str(end.code))
        return code, capsys.readouterr().err

    before = (farm.path("state.db").read_bytes(), {*farm.folder.rglob("*")})
    yield run
    assert farm.path("state.db").read_bytes() == before[0]
    assert {*farm.folder.rglob("*")} == before[1]


NONSENSE = {
    "-n -1": "-n -1: expected a whole number, 0 to 1000",
    "-n x": "-n x: expected a whole number, 0 to 1000",
    "-n 1_0": "-n 1_0: expected a whole number, 0 to 1000",
    "-n 1000000": "-n 1000000: expected a whole number, 0 to 1000",
    "-n 2 -n 3": "-n 2 and -n 3 contradict each other; give one of them",
    "-n": "doit run: option -n needs a value; doit help run lists what it takes",
    "-P foo": "-P 'foo' is unknown; known: process, thread",
    "-P threed": "-P 'threed' is unknown; did you mean 'thread'?",
    "-v 7": "-v 7: expected a whole number, 0 to 2",
    "--failure-verbosity 3": "--failure-verbosity 3: expected a whole number, 0 to 2",
    "-r nope": "-r 'nope' is unknown; known: console, executed-only, json, zero, error-only, guestfarm",
    "-s": "doit -s leaves out what tasks depend on, and so wants tasks; as in: doit -s NAME",
    "-z": "doit run: option -z is unknown; doit help run lists what it takes",
    "--contnue": "doit run: option --contnue is unknown; did you mean '--continue'?",
    "--continue --no-continue": "--continue and --no-continue contradict each other; give one of them",
    "--pdb=1": "doit run: option --pdb must not have an argument",
    "--backend json": "--backend json: Guestfarm keeps its records in its own way",
    "run --backend json": "--backend json: Guestfarm keeps its records in its own way",
    "--backend nope": "--backend 'nope' is unknown; known: dbm, json, sqlite3, guestfarm",
    "--db-file x": "--db-file x: Guestfarm keeps its records in its own way",
    "--check_file_uptodate md5": "--check_file_uptodate md5: Guestfarm keeps its records in its own way",
    "-f nope.py": "doit run: Could not find dodo file",
    "-d nope": "doit run: Specified 'dir' path must be a directory.",
    "-k -f nope.py": "doit run: Could not find dodo file",
    "root:nomatch*": "no such task: 'root:nomatch*'",
    "root:deb1": "no such task: 'root:deb1'; did you mean 'root:deb01'?",
    "rot:deb01": "no such task: 'rot:deb01'; did you mean 'root:deb01'?",
    "statsu": "no such task: 'statsu'; did you mean 'status'?",
    "swpa": "no such task: 'swpa'; did you mean 'swap'?",
    "deb01": "'deb01' is a guest, and no task; its tasks: root:deb01, swap:deb01, disk:deb01:whole, config:deb01",
    "root:deb01 -n 2": "doit run: option -n not recognized; options come before tasks",
    "/etc/a=b": "no such task: '/etc/a=b'",
    "gests=x.yaml": "unknown variable 'gests' in 'gests=x.yaml'; did you mean 'guests'?",
    "a=b": "unknown variable 'a' in 'a=b'; known: build, guests",
    "guests=a guests=b": "guests is given twice: 'a' and 'b'; give one",
    "guests=": "guests= names nothing; as in: doit guests=guests.yaml",
    "build=": "build= names nothing; as in: doit build=build",
    "clean nope": "no such task: 'nope'",
    "clean nope*": "no such task: 'nope*'",
    "clean deb01": "'deb01' is a guest, and no task",
    "clean -a root": "--clean-all and names contradict each other; give one of them",
    "forget nope root:deb09": "no such task: 'nope'",
    "forget deb01": "'deb01' is a guest, and no task",
    "forget --all root": "--all and names contradict each other; give one of them",
    "forget --disable-default": "no tasks specified; pass the name of a task, --enable-default or --all",
    "ignore": "which tasks are to be ignored?; as in: doit ignore root:deb01",
    "ignore nope": "no such task: 'nope'",
    "reset-dep nope": "no such task: 'nope'",
    "info": "doit info takes one task, and not 0; as in: doit info root:deb01",
    "info nope": "no such task: 'nope'",
    "info root:*": "'root:*' stands for 5 tasks, and doit info takes one; name one",
    "info root:deb01 root:deb02": "doit info takes one task, and not 2; as in: doit info root:deb01",
    "list nope": "no such task: 'nope'",
    "list --sort nope": "--sort 'nope' is unknown; known: name, definition",
    "list --template {nope}": "--template '{nope}': not understood",
    "list --template {": "--template '{': not understood",
    "list --template {status}": "{status} in --template needs --status; add it",
    "strace": "doit strace takes one task, and not 0; as in: doit strace mytask",
    "strace nope": "no such task: 'nope'",
    "dumpdb nope": "doit dumpdb takes no arguments: 'nope'; doit help dumpdb lists what it takes",
    "tabcompletion nope": "doit tabcompletion takes no arguments: 'nope'; doit help tabcompletion lists what it takes",
    "tabcompletion -s fish": "-s 'fish' is unknown; known: bash, zsh",
    "help nope": "no such task: 'nope'",
    "help statsu": "no such task: 'statsu'; did you mean 'status'?",
    "help list status": "help takes one name, and not 'list status'; as in: doit help list",
    "status nope": "no such guest in the list: 'nope'",
    "status deb*9": "no such guest in the list: 'deb*9'",
    "why nope": "no such task or guest: 'nope'",
    "why swpa": "no such task or guest: 'swpa'; did you mean 'swap'?",
    "plan -n 0": "-n 0: expected a whole number, 1 to 1000",
    "plan root:x*": "no such task: 'root:x*'",
    "graph nope": "no such task or guest: 'nope'",
    "report nope": "doit report takes no arguments: 'nope'; doit help report lists what it takes",
    "prune nope": "doit prune takes no arguments: 'nope'; doit help prune lists what it takes",
    "prune --days -1": "--days -1: expected a whole number, 0 or more",
    "prune --days 3": "--days is about guests that were replaced; add --replaced, or leave it out",
    "prune --modified --replaced": "--modified and --replaced contradict each other; give one of them",
    "manifest nope": "no such guest in the list: 'nope'",
    "verify -n 0": "-n 0: expected a whole number, 1 to 1000",
    "boot --timeout 0": "--timeout 0: expected a whole number, 1 or more",
    "boot --via nope": "--via 'nope' is unknown; known: kernel, disk, vmdk",
    "boot:nope": "no such guest in the list: 'nope'",
    "files": "too few arguments for doit files",
    "files nope": "no such guest in the list: 'nope'",
    "files deb01 --disk nope": "guest 'deb01' has no disk 'nope'",
    "cat deb01": "too few arguments for doit cat",
    "get deb01 /etc": "too few arguments for doit get",
    "mac -n 0": "-n 0: expected a whole number, 1 to 1000",
    "mac nope": "unknown argument 'nope'",
    "mac gests=x": "unknown variable 'gests' in 'gests=x'; did you mean 'guests'?",
    "schema nope": "unknown argument 'nope'",
    "inventory nope": "no such guest in the list: 'nope'",
    "inventory --format nope": "--format 'nope' is unknown; known: ansible, hosts, dnsmasq, dhcpd",
    "completion nope": "no such shell: 'nope'; known: bash, zsh",
    "deploy nope": "no such guest in the list: 'nope'",
    "redeploy": "which guests are to have new disks?",
    "resize --to 4G": "--image and --to belong together",
    "resize -n 0": "-n 0: expected a whole number, 1 to 1000",
    "start": "which guests?",
    "stop -t -1 deb01": "-t -1: expected a whole number, 0 or more",
    "console": "which guests?",
    "retire": "which guests?",
    "init a b": "doit init takes one folder, not 2; as in: doit init farm",
    "init debian.tar": "debian.tar: not a folder",
    "ls nope": "no such guest in the list or in",
    "mount deb01": "doit mount takes a guest and a folder",
    "umount": "doit umount takes guests and folders",
}


@pytest.mark.parametrize("words", NONSENSE)
def test_nonsense(doit: Doit, words: str) -> None:
    code, error = doit(*words.split())
    assert (code, error[: len(NONSENSE[words])]) == (2, NONSENSE[words])
    assert error.endswith("\n")
    assert "Traceback" not in error


@pytest.mark.parametrize("arguments", [("",), ("list", ""), ("-n", ""), ("get", "deb01", "/etc", "")])
def test_empty_words(doit: Doit, arguments: tuple[str, ...]) -> None:
    assert doit(*arguments) == (2, "doit: an empty argument means nothing; is a variable of the shell empty?\n")


def test_all_unknown_names_are_told_at_once(doit: Doit) -> None:
    code, error = doit("forget", "nope", "root:deb09")
    assert (code, [line.partition(";")[0] for line in error.splitlines()]) == (
        2, ["no such task: 'nope'", "no such task: 'root:deb09'"],
    )  # fmt: skip


COMMANDS = sorted(each.name for each in entry_points(group="doit.COMMAND") if each.module.startswith("pipeline."))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command(doit: Doit, name: str) -> None:
    """An option that wants a number or one of several words takes no other, and there are no others."""
    command = next(each for each in entry_points(group="doit.COMMAND") if each.name == name).load()
    assert doit(name, "--nonsense")[0] == 2
    for option in command.cmd_options:
        given = f"--{option['long']}" if option.get("long") else f"-{option['short']}"
        if option["type"] is bool:
            assert doit(name, f"{given}=1")[0] == 2
        elif option["type"] is not str or option.get("choices"):
            assert doit(name, f"{given}=-1")[0] == 2, given
        else:
            assert doit(name, f"{given}=")[0] == 2


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_where_it_is_looked_for(
    farm: Workshop, capsys: pytest.CaptureFixture[str], name: str, option: str
) -> None:
    assert carry_out([name, option]) == 0
    assert capsys.readouterr().out.startswith("PURPOSE\n")


def test_names_are_checked_before_anything_is_made(workshop: Workshop) -> None:
    assert workshop.doit("root:nomatch*", check=False).code == 2
    assert not (workshop.folder / "build").exists()


def test_variables_of_a_dodo_file_of_ones_own(workshop: Workshop) -> None:
    dodo = workshop.folder / "dodo.py"
    dodo.write_text(f"{dodo.read_text()}\n\nfrom doit import get_var\nCOLOUR = get_var('colour', 'red')\n")
    assert workshop.doit("colour=blue", "list").code == 0
    assert workshop.doit("color=blue", "list", check=False).output.endswith("did you mean 'colour'?\n")


def test_what_is_left_alone_is_no_success(built: Workshop) -> None:
    disk = built.path("guests/deb01/swap.img")
    disk.write_bytes(disk.read_bytes() + b"of the guest")
    run = built.doit("clean", "--forget", "swap:deb01", check=False)
    assert run.code == 1
    assert "swap.img: modified since it was made" in run.output
    assert disk.read_bytes().endswith(b"of the guest")
    assert built.doit("swap:deb01", check=False).code != 0  # it is not forgotten either
    assert disk.read_bytes().endswith(b"of the guest")


def test_commands_of_a_farm_are_all_tried() -> None:
    """A command that is added has a line above."""
    tried = {words.split()[0].partition(":")[0] for words in NONSENSE}
    assert [name for name in COMMANDS if name not in tried] == []


def test_base_class() -> None:
    for each in entry_points(group="doit.COMMAND"):
        command = each.load()
        assert issubclass(command, Command)
        assert "base_command" in {base.__module__.rpartition(".")[2] for base in command.__mro__}, each.name
    assert Path(carry_out.__code__.co_filename).name == "main.py"

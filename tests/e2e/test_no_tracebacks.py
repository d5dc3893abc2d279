"""What goes wrong around doit is one line with the right exit code, not a traceback; a bug says that it is one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.engine.run.main import carry_out
from tests.conftest import Mount
from tests.e2e.conftest import ROOT, Workshop, new_workshop
from tests.machine import need_root

DOIT = Path(sys.executable).with_name("doit")
"""The program that is installed, which is Guestfarm's own."""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A tiny farm, built."""
    workshop = new_workshop(tmp_path_factory.mktemp("farm"))
    workshop.doit()
    return workshop


def ended(workshop: Workshop, shell: str) -> tuple[int, str]:
    """The exit code of a line of bash, in which $doit is the program, and all that it prints."""
    completed = subprocess.run(
        ["bash", "-c", shell],
        cwd=workshop.folder,
        env={**os.environ, "doit": str(DOIT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return completed.returncode, completed.stdout


@pytest.mark.parametrize(
    ("shell", "code", "output"),
    [
        ("$doit -h | head -1", 0, "doit -- automation tool\n"),
        ("($doit --version; echo $? >&2) | exec true", 0, "141\n"),
        ("($doit --help; echo $? >&2) | exec true", 0, "141\n"),
        ("$doit --version >/dev/full", 2, "the output cannot be written: No space left on device\n"),
        ("$doit list >&-", 2, "the output cannot be written: it is closed\n"),
        ("$doit list 2>&- | head -c 6", 0, "config"),
        ("$doit nope 2>&-", 2, ""),
        ("$doit nope 2>/dev/full", 2, ""),
        ("$doit <&- >&- 2>&-", 2, ""),
        ("$doit ''", 2, "doit: an empty argument means nothing; is a variable of the shell empty?\n"),
        ("ulimit -n 10; $doit", 2, "no more than 10 files may be open at a time; raise the limit: ulimit -n 1024\n"),
        ("ulimit -Sn 10; $doit | head -c 13", 0, "nothing to do"),
        ("$doit build=/proc/x", 2, "/proc/x: No such file or directory; doit build=FOLDER builds elsewhere\n"),
        ("$doit build=debian.tar", 2, "{folder}/debian.tar: File exists; doit build=FOLDER builds elsewhere\n"),
    ],
)  # fmt: skip
def test_one_line(farm: Workshop, shell: str, code: int, output: str) -> None:
    assert ended(farm, shell) == (code, output.format(folder=farm.folder))


def test_standard_streams_that_are_closed_are_no_files_of_ours(farm: Workshop) -> None:
    assert ended(farm, "$doit -a swap:deb01 >/dev/null 2>&-")[0] == 0
    for file in filter(Path.is_file, farm.path(".").rglob("*")):
        assert b"swap:deb01\n" not in file.read_bytes()[:100]


def test_as_many_workers_as_descriptors_allow(built: Workshop) -> None:
    code, output = ended(built, "ulimit -n 64; $doit -a -n 32")
    assert code == 2
    assert output.endswith("Too many open files; raise the limit: ulimit -n 1024\n")
    assert "Traceback" not in output
    assert built.doit().code == 0  # what was begun again is not taken for somebody else's


def test_a_folder_in_place_of_the_lock(built: Workshop) -> None:
    built.path("state.lock").unlink()
    built.path("state.lock").mkdir()
    message = f"{built.path('state.lock')}: Is a directory; doit build=FOLDER builds elsewhere\n"
    assert (built.doit("-a", check=False).code, built.doit("-a", check=False).output) == (2, message)
    assert built.doit("status").code == 0


@pytest.mark.parametrize("arguments", [[], ["-n", "2"], ["forget"]])
def test_no_room_for_the_lock(workshop: Workshop, mount: Mount, arguments: list[str]) -> None:
    full = mount("none", "-t", "tmpfs", "-o", "size=16k")
    (full / "build").mkdir()
    with pytest.raises(OSError, match="No space"):
        (full / "x").write_bytes(bytes(1 << 20))
    run = workshop.doit(f"build={full / 'build'}", *arguments, check=False)
    assert run.code == 2
    assert "No space left on device" in run.output or "the disk is full" in run.output
    assert "Traceback" not in run.output
    assert workshop.doit(f"build={full / 'build'}", "status").code == 0


CONFIGURATIONS = {
    "doit.cfg": {
        "x": "doit.cfg: not understood: File contains no section headers. file: 'doit.cfg', line: 1 'x\\n'",
        "[GLOBAL]\nverbosity=x": "doit: Error parsing parameter 'verbosity' as a whole number, 0 to 2. got 'x'",
        "[GLOBAL]\nnum_process=-1": "doit: Error parsing parameter 'num_process' as a whole number, 0 to 1000.",
        "[GLOBAL]\nloader=nope": "doit.cfg: no such loader: 'nope'",
        "[COMMAND]\nnope=bar": "doit.cfg: nope in [COMMAND]: expected MODULE:NAME, got 'bar'",
        "[REPORTER]\nnope=nope.x:y": "doit: Plugin REPORTER module `nope.x` not found.",
    },
    "pyproject.toml": {
        "x": "pyproject.toml: not understood: Expected '=' after a key in a key/value pair (at line 1, column 2)",
        "[tool]\ndoit=5": "pyproject.toml: not what doit expects in [tool.doit]: a table of options",
        "[tool.doit]\nplugins=5": "pyproject.toml: not what doit expects in [tool.doit]: a table of options",
        "[tool.doit.plugins.nope]\na='b'": "pyproject.toml: not what doit expects in [tool.doit]: a table of options",
        "[tool.doit]\ncommands.list=3": "pyproject.toml: not what doit expects in [tool.doit]: a table of options",
        "[tool.doit]\nnum_process=-1": "num_process -1: expected a whole number, 0 to 1000",
    },
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, messages in CONFIGURATIONS.items() for text in messages]
)
def test_configurations_that_make_no_sense(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(f"{text}\n")
    with pytest.raises(SystemExit) as end:
        carry_out([])
    error = capsys.readouterr().err
    message = CONFIGURATIONS[name][text]
    assert (end.value.code, error[: len(message)], error.count("\n")) == (2, message, 1)


BUG = "import pipeline.model.sizes\npipeline.model.sizes.format_size(None)\n"


def test_a_bug_says_where_to_report_it(workshop: Workshop) -> None:
    dodo = workshop.folder / "dodo.py"
    dodo.write_text(f"{dodo.read_text()}\n{BUG}")
    code, output = ended(workshop, "$doit list")
    assert code == 3
    assert output.startswith("Traceback")
    assert output.splitlines()[-1].startswith("this is an error of Guestfarm's own: please report it")


def test_an_error_of_ones_own_dodo_file_is_no_bug_of_ours(workshop: Workshop) -> None:
    dodo = workshop.folder / "dodo.py"
    dodo.write_text(f"{dodo.read_text()}\nNOPE\n")
    code, output = ended(workshop, "$doit list")
    assert (code, output.splitlines()[-1]) == (3, "doit list: an error of this dodo.py")


@pytest.fixture(scope="module")
def opens(farm: Workshop) -> range:
    """The numbers of the system calls openat() of `doit list` from when Guestfarm's code is begun to the end."""
    trace = farm.folder / "trace"
    argv = ["strace", "-o", str(trace), "-e", "trace=openat", "--", str(DOIT), "list"]
    subprocess.run(argv, cwd=farm.folder, stdout=subprocess.DEVNULL, check=True)
    lines = [line for line in trace.read_text().splitlines() if line.startswith("openat")]
    first = next(number for number, line in enumerate(lines, 1) if re.search(r"pipeline/engine", line))
    trace.unlink()
    return range(first, len(lines))


def test_interrupted_while_modules_load(farm: Workshop, opens: range) -> None:
    assert len(opens) > 200
    for number in opens[:: len(opens) // 9]:
        inject = f"inject=openat:signal=SIGINT:when={number}"
        code, output = ended(farm, f"strace -o /dev/null -e trace=openat -e {inject} -- $doit list >/dev/null")
        assert (code, output) == (130, "interrupted\n"), number


def test_the_program_is_guestfarms(farm: Workshop) -> None:
    assert "pipeline.__main__" in DOIT.read_text()
    code, output = ended(farm, "$doit --version | tail -1")
    assert (code, output.partition(" ")[0]) == (0, "guestfarm")
    assert (ROOT / "pipeline" / "__main__.py").exists()


def test_what_the_system_refuses_a_task_is_no_bug(workshop: Workshop) -> None:
    need_root()
    workshop.path("masters").mkdir(parents=True)
    workshop.path("masters/debian").write_text("a file in the place of a folder")
    run = workshop.doit(check=False)
    assert run.code == 1
    assert "master:debian: " in run.output
    assert "File exists" in run.output or "Not a directory" in run.output
    assert "an error of Guestfarm's own" not in run.output

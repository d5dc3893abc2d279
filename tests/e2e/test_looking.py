"""Looking is always possible, and changes nothing: on full and read-only disks, in folders of others, during a run."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.engine.state import looking
from tests.conftest import Mount
from tests.e2e.conftest import TINY_LIST, Workshop, new_workshop
from tests.machine import need_root

COMMANDS = {
    "list --all --status": "U root:deb01",
    "status": "5 guests, 27 artifacts: 27 fresh",
    "status --json": '"state": "fresh"',
    "why": "all 27 artifacts are fresh",
    "why root:deb01": "root:deb01 is fresh: the next doit leaves it as it is",
    "plan": "nothing to build",
    "info root:deb01": "status     : up-to-date",
    "verify": "[6/6] what guests share: as written down",
    "report -o -": "<html ",
    "graph --dot": "digraph farm {",
    "files deb01 /etc": "/etc/hostname",
    "cat deb01 /etc/hostname": "deb01",
    "mac": "00:16:3e:",
    "inventory --format hosts": "10.0.0.11",
    "schema": "json-schema.org",
    "completion words -- +roo": "root",
    "completion bash": "complete -o default",
    "prune": "nothing is left behind",
    "dumpdb": "root:deb01 -> {",
    "clean -n swap:deb01": "swap:deb01 - removing file",
    "help status": "PURPOSE",
    "tabcompletion": "_doit()",
}
"""Commands that look, and something that they print about the farm."""

_ALL = """
import io, sys
from contextlib import redirect_stdout
from pipeline.engine.run.main import carry_out
commands = sys.argv[1:]
sys.argv = ["doit"]
for words in commands:
    for name in ("dodo", "pipeline.dodo"):
        sys.modules.pop(name, None)
    try:
        code = carry_out(words.split())
    except SystemExit as end:
        code = end.code
    print(f"\\n=={words}=={code}", flush=True)
"""


def looked(folder: Path, commands: Sequence[str], *prefix: str) -> dict[str, tuple[int, str]]:
    """The exit code of each command in `folder`, and what it prints; by one process, started by way of `prefix`."""
    completed = subprocess.run(
        [*prefix, sys.executable, "-c", _ALL, *commands],
        cwd=folder, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    found, rest = {}, completed.stdout
    for words in commands:
        output, end, rest = rest.partition(f"\n=={words}==")
        assert end, completed.stdout[-2000:]
        code, _, rest = rest.partition("\n")
        found[words] = int(code), output
    return found


def check(found: dict[str, tuple[int, str]]) -> None:
    for words, (code, output) in found.items():
        assert (code, COMMANDS[words] in output) == (0, True), (words, code, output[-500:])


def everything(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """All there is in `folder`, with what changes when it does."""
    return {
        str(path): (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        for path in (folder, *folder.rglob("*"))
        if (status := path.lstat())
    }


def new_farm(folder: Path) -> Workshop:
    """A tiny farm with host keys and manifests, built."""
    workshop = new_workshop(folder, TINY_LIST.replace("host_keys: first-boot", "host_keys: ed25519"))
    workshop.change_list("farm: tiny", f"farm: tiny\n    images: {folder / 'images'}".replace("\n    ", "\n"))
    workshop.doit()
    workshop.doit("manifest")
    return workshop


@pytest.fixture
def disk(mount: Mount) -> Path:
    """A disk of its own."""
    return mount("none", "-t", "tmpfs", "-o", "size=64m")


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return new_farm(tmp_path_factory.mktemp("farm"))


def test_nothing_changes(farm: Workshop) -> None:
    before = everything(farm.folder)
    check(looked(farm.folder, list(COMMANDS)))
    assert everything(farm.folder) == before


def test_while_a_run_has_the_lock_and_is_writing(farm: Workshop) -> None:
    with (
        farm.path("state.lock").open("r+") as lock,
        sqlite3.connect(farm.path("state.db"), isolation_level=None) as state,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        state.execute("begin immediate")
        state.execute("delete from task where name = 'root:deb01'")
        check(looked(farm.folder, list(COMMANDS)))
        state.execute("rollback")
    state.close()


def test_where_nothing_is_built(farm: Workshop) -> None:
    before = everything(farm.folder)
    commands = ["status", "plan", "why root:deb01", "info root:deb01", "list --all --status", "prune", "report -o -"]
    found = looked(farm.folder, [f"build=nowhere {words}" for words in commands])
    assert [code for code, _ in found.values()] == [0, 0, 0, 1, 0, 0, 0]
    assert "27 artifacts: 27 missing" in found["build=nowhere status"][1]
    assert everything(farm.folder) == before


def test_on_a_disk_that_is_read_only(disk: Path) -> None:
    farm = new_farm(disk)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    check(looked(farm.folder, list(COMMANDS)))
    code, output = looked(farm.folder, ["report"])["report"]
    assert (code, output.count("Read-only file system"), output.count("\n")) == (2, 1, 1)
    run = farm.doit("-a", check=False)
    assert (run.code, "Traceback" in run.output) == (2, False)


def test_on_a_disk_that_is_full(disk: Path) -> None:
    farm = new_farm(disk)
    with pytest.raises(OSError, match="No space"):
        (disk / "x").write_bytes(bytes(1 << 27))
    check(looked(farm.folder, list(COMMANDS)))


_STRANGER = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs")
"""Without its capabilities, root is to the files of another user what anybody else is; see capabilities(7)."""


def test_in_the_folder_of_another_user(tmp_path: Path) -> None:
    need_root()
    farm = new_farm(tmp_path)
    tmp_path.chmod(0o755)
    for path in (tmp_path, *tmp_path.rglob("*")):
        shutil.chown(path, "nobody")
    farm.doit()  # that the owner changed is taken note of
    for path in tmp_path.rglob("state.*"):
        shutil.chown(path, "nobody")
    before = everything(tmp_path)
    found = looked(tmp_path, list(COMMANDS), *_STRANGER)
    assert everything(tmp_path) == before
    forbidden = {
        "plan": 1,
        "verify": 1,
        "files deb01 /etc": 2,
        "cat deb01 /etc/hostname": 2,
    }  # images have passwords in them
    for words, (code, output) in found.items():
        assert code == forbidden.get(words, 0), (words, output[-500:])
        assert "Traceback" not in output
    assert "unreadable" in found["status"][1]
    assert " stale" not in found["status"][1]
    for words in ("-a swap:deb01", "forget swap:deb01", "clean swap:deb01"):
        code, output = looked(tmp_path, [words], *_STRANGER)[words]
        assert (code, output.count("\n")) == (2, 1), output


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A database whose newest row is in its write-ahead log alone, as after a run that was killed."""
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "pragma journal_mode = wal; create table task (name text); insert into task values ('old')"
    )
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.execute("insert into task values ('new')")
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("state.db", "state.db-wal"):
        shutil.copyfile(tmp_path / name, killed / name)
    connection.close()
    return killed / "state.db"


def rows(path: Path) -> list[str]:
    with looking.only():
        return [name for (name,) in looking.copy_of(path).execute("select name from task order by rowid")]


def test_a_log_of_a_killed_run_is_read(state: Path) -> None:
    assert rows(state) == ["old", "new"]


def test_also_where_nothing_can_be_written(state: Path, disk: Path) -> None:
    shutil.copytree(state.parent, disk / "build")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert rows(disk / "build/state.db") == ["old", "new"]


def test_a_copy_is_not_written_back(state: Path) -> None:
    before = state.read_bytes()
    with looking.only():
        looking.copy_of(state).execute("delete from task")
        assert looking.copy_of(state).execute("select * from task").fetchall() == []
    assert state.read_bytes() == before
    assert rows(state) == ["old", "new"]


def test_what_is_no_database_is_said_to_be_none(built: Workshop) -> None:
    built.path("state.db").write_bytes(b"nonsense" * 1000)
    run = built.doit("status", check=False)
    assert (run.code, "state.db is damaged" in run.output, run.output.count("\n")) == (2, True, 1)

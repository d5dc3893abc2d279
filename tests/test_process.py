"""Programs that are run: what they get, what they leave, and how they end."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from pipeline import process
from pipeline.errors import ProcessError
from pipeline.process import run

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]


def shell(script: str, codes: tuple[int, ...] = (0,)) -> process.Completed:
    return run(["sh", "-c", script], codes=codes)


def test_both_outputs_and_the_exit_code() -> None:
    completed = shell("echo out; echo err >&2; exit 3", codes=(0, 3))
    assert completed == process.Completed(3, "out\n", "err\n")


def test_arguments_are_never_a_shells() -> None:
    assert run(["printf", "%s", "$(id) `id` ; * \n"]).stdout == "$(id) `id` ; * \n"


def test_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "secret")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("PATH", "/opt/own")
    lines = run(["/usr/bin/env"], environment={"ADDED": "1"}).stdout.splitlines()
    assert sorted(lines) == [
        "ADDED=1",
        "LC_ALL=C",
        "PATH=/opt/own:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TZ=UTC",
    ]


def test_limits_of_memory_and_time() -> None:
    limits = process.Limits(memory=256 << 20, seconds=1)
    grow = "bytearray(512 << 20)"
    assert run([sys.executable, "-c", grow]).code == 0
    with pytest.raises(ProcessError, match="MemoryError"):
        run([sys.executable, "-c", grow], limits=limits)
    with pytest.raises(ProcessError, match=r"was ended by SIG(XCPU|KILL)"):
        run([sys.executable, "-c", "while True: pass"], limits=limits)


def test_no_path_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mke2fs").write_text("#!/bin/sh\n")
    (tmp_path / "mke2fs").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert shell("command -v mke2fs").stdout != "mke2fs\n"
    assert not process.available("no-such-program")
    assert process.available("mke2fs"), "it is in sbin, which ordinary users have not got in their PATH"


def test_inherited_is_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.delenv("https_proxy", raising=False)
    assert process.inherited("http_proxy", "https_proxy") == {"http_proxy": "http://proxy:3128"}


def test_there_is_no_input() -> None:
    assert run(["cat"]).stdout == ""


def test_output_that_is_no_utf8() -> None:
    assert run(["printf", r"\344"]).stdout == "\ufffd"


def test_large_output_on_both_sides() -> None:
    completed = shell("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2")
    assert (len(completed.stdout), len(completed.stderr)) == (300000, 300000)


FAILURES = {
    "code": ("echo broken >&2; exit 4", "sh failed with exit code 4:\n  broken"),
    "nothing said": ("exit 4", "sh failed with exit code 4"),
    "said on the other output": ("echo broken; exit 1", "sh failed with exit code 1:\n  broken"),
    "said on both": ("echo broken; echo mend it >&2; exit 4", "sh failed with exit code 4:\n  broken\n  mend it"),
    "the disk's fault": (
        "echo 'i: Error writing: Input/output error'; echo 'RUN fsck MANUALLY' >&2; exit 4",
        "sh failed with exit code 4: Input/output error\n  i: Error writing: Input/output error\n  RUN fsck MANUALLY",
    ),
    "the cause is far above": (
        "echo 'write: No space left on device' >&2; seq 20 >&2; exit 1",
        "\n  ".join(["sh failed with exit code 1: No space left on device", *map(str, range(1, 21))]),
    ),
    "a long line": ("printf %01000d 7; exit 1", f"sh failed with exit code 1:\n  {'0' * 400}..."),
    "signal": ("kill -KILL $$", "sh was ended by SIGKILL"),
    "blank lines": ("printf 'a\\n\\n  \\nb\\n' >&2; exit 1", "sh failed with exit code 1:\n  a\n  b"),
}


@pytest.mark.parametrize(("script", "message"), FAILURES.values(), ids=FAILURES)
def test_failures(script: str, message: str) -> None:
    with pytest.raises(ProcessError) as caught:
        shell(script)
    assert caught.value.message == message


MUCH = {
    "seq 1000 >&2": range(981, 1001),
    "seq 1000": range(981, 1001),
    "seq 1000; seq 2000 >&2": [*range(991, 1001), *range(1991, 2001)],
    "seq 1000; seq 2000 2002 >&2": [*range(984, 1001), *range(2000, 2003)],
    "seq 3; seq 1000 >&2": [*range(1, 4), *range(984, 1001)],
}


@pytest.mark.parametrize(("script", "shown"), MUCH.items(), ids=MUCH)
def test_only_the_last_lines_of_much_are_shown(script: str, shown: Sequence[int]) -> None:
    with pytest.raises(ProcessError) as caught:
        shell(f"{script}; exit 1")
    assert caught.value.message.splitlines() == ["sh failed with exit code 1:", *(f"  {number}" for number in shown)]


def test_missing_program() -> None:
    with pytest.raises(ProcessError, match="the program no-such-program is missing; make setup installs what"):
        run(["no-such-program", "argument"])


def test_file_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"\x00\x01")
    (tmp_path / "noise").chmod(0o755)
    with pytest.raises(ProcessError, match="noise failed with exit code 12"):
        run([tmp_path / "noise"])


def test_version_is_asked_once(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho >>{tmp_path}/calls\necho 'program 1.0' >&2\necho more >&2\n")
    program.chmod(0o755)
    assert [process.version(str(program)) for _ in range(3)] == ["program 1.0"] * 3
    assert (tmp_path / "calls").read_text() == "\n"


# A program that ignores what asks it to end, or has a child in the background that does. As long as one of them lives,
# the pipe is open.
STUBBORN = "trap '' TERM INT; exec 3>{pipe}; echo ready >&3; exec sleep infinity"
WITH_CHILD = f"({STUBBORN}) & wait"
ENDINGS = {
    "Ctrl-C": (signal.SIGINT, WITH_CHILD),
    "SIGTERM": (signal.SIGTERM, WITH_CHILD),
    "SIGKILL": (signal.SIGKILL, STUBBORN),  # which leaves us no time for children
}


@pytest.mark.parametrize("way", ["{there}; run({argv})", "with started({argv}) as program: {there}; endless()"])
@pytest.mark.parametrize(("number", "program"), ENDINGS.values(), ids=ENDINGS)
def test_interrupted_programs_leave_nobody_behind(
    number: signal.Signals, program: str, way: str, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = f"""
        import signal, sys
        from pipeline.process import run, started
        def endless():
            while True:  # it hears of every signal; a call that waits may miss one that comes just before
                pass
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells ignore for what is in the background
        {way.format(argv=["sh", "-c", program.format(pipe=pipe)], there="print('there', flush=True)")}
    """
    argv = [sys.executable, "-c", dedent(script)]
    ours = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with ours, pipe.open() as end:
        assert ours.stdout is not None
        assert (ours.stdout.readline(), end.readline()) == (b"there\n", "ready\n")
        ours.send_signal(number)
        ours.wait()
        assert end.read() == ""


@pytest.mark.parametrize("way", ["run({argv})", "with started({argv}): endless()"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_before_anybody_knows_of_the_program(number: signal.Signals, way: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = f"""
        import signal, subprocess, sys
        from pipeline.process import run, started
        def endless():
            while True:  # it hears of every signal; a call that waits may miss one that comes just before
                pass
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        signal.signal(signal.SIGINT, signal.default_int_handler)

        class Popen(subprocess.Popen):
            def __init__(self, *arguments, **options):
                super().__init__(*arguments, **options)
                sys.stdin.readline()
                signal.raise_signal({int(number)})

        subprocess.Popen = Popen
        {way.format(argv=["sh", "-c", f"(exec 3>{pipe}; echo ready >&3; exec sleep infinity) & wait"])}
    """
    argv = [sys.executable, "-c", dedent(script)]
    ours = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with ours, pipe.open() as end:
        assert end.readline() == "ready\n"
        ours.communicate(b"go on\n")
        assert end.read() == ""
    assert ours.returncode == {signal.SIGINT: -signal.SIGINT, signal.SIGTERM: 143}[number]


def test_in_threads() -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(shell("echo out").stdout)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["out\n"] * 20


def test_what_a_thread_runs_can_be_logged(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file, process.logged(file):
        run(["sh", "-c", "echo 'one two'; echo three >&2; exit 4"], codes=(4,))
        other = threading.Thread(target=run, args=(["echo", "elsewhere"],))
        other.start()
        other.join()
    run(["echo", "later"])
    assert (tmp_path / "log").read_text() == (
        "$ sh -c 'echo '\"'\"'one two'\"'\"'; echo three >&2; exit 4'\n  one two\n  three\n  exit code 4\n"
    )


def test_a_program_beside_us() -> None:
    ours, its = socket.socketpair()
    with ours, its:
        script = f"read word <&{its.fileno()}; echo got $word; echo and >&2; echo done >&{its.fileno()}; exit 3"
        with process.started(["bash", "-c", script], descriptors=[its.fileno()]) as running:
            assert running.code is None
            ours.sendall(b"one\n")
            assert ours.recv(100) == b"done\n"
            assert running.said == "got one\nand\n"
            assert running.failure == "bash failed with exit code 3:\n  got one\n  and"
            assert running.code == 3


def test_a_program_beside_us_ends_with_the_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    argv = ["sh", "-c", f"echo ready >{tmp_path}/pipe; exec sleep infinity"]
    with (tmp_path / "log").open("w") as log, process.logged(log), process.started(argv) as running:
        (tmp_path / "pipe").read_text()
    assert running.code == -signal.SIGTERM
    assert (tmp_path / "log").read_text().endswith("  exit code -15\n")


def test_a_program_beside_us_that_is_missing() -> None:
    missing = process.started(["no-such-program"])
    with pytest.raises(ProcessError, match="the program no-such-program is missing"), missing:
        pass

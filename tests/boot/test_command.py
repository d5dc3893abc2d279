"""`doit boot`: guests that boot, guests that do not, and what is left behind."""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.image.files import digest
from tests.boot import qemu
from tests.e2e.conftest import Run, Workshop
from tests.machine import need_programs


@pytest.fixture(scope="session")
def farm(variants: Workshop) -> Workshop:
    """The farm of variants, and what its guests are."""
    need_programs("qemu-system-x86_64")
    return variants


@pytest.fixture
def untouched(farm: Workshop) -> Iterator[None]:
    """Sees to it that nothing is written to what was built, and no process or copy is left."""
    built = [path for path in farm.path("guests").rglob("*") if path.is_file()]
    before = {path: (digest.of_file(path), path.stat().st_mtime_ns) for path in built}
    yield
    assert {path: (digest.of_file(path), path.stat().st_mtime_ns) for path in built} == before
    assert [path for path in farm.path("boot").iterdir() if path.suffix != ".lock"] == []
    assert processes(farm) == []


def processes(farm: Workshop) -> list[str]:
    """The QEMUs that have disks of the farm."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if line.startswith("qemu") and str(farm.path("boot")) in line:
            found.append(line)
    return found


def boot(farm: Workshop, *arguments: str) -> Run:
    return farm.doit("boot", *arguments, check=False)


@pytest.mark.usefixtures("untouched")
def test_guests_that_boot_and_one_that_does_not(farm: Workshop) -> None:
    run = boot(farm, "ext2", "broken", "-n", "2", "--timeout", str(qemu.DEADLINE))
    assert run.code == 1, run.output
    lines = run.output.splitlines()
    (good,) = (line for line in lines if line.startswith("ext2: "))
    assert re.fullmatch(r"ext2: boots: 8 of 8 checks, \d+ s \((kvm|tcg)\), console in build/logs/boot/ext2.log", good)
    (bad,) = (number for number, line in enumerate(lines) if line.startswith("broken: FAILED: 0 of 1 checks, "))
    assert lines[bad + 1].startswith("    FAILED  boot  Kernel panic - not syncing: Attempted to kill init!")
    assert "Kernel panic" in farm.path("logs/boot/broken.log").read_text(errors="replace")
    assert "ext2 login: " in farm.path("logs/boot/ext2.log").read_text(errors="replace")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("via", ["disk", "vmdk"])
def test_guests_boot_by_grub_from_the_same_disks(farm: Workshop, via: str) -> None:
    need_programs("grub-mkimage")
    run = boot(farm, "ext3", "--via", via, "--timeout", str(qemu.DEADLINE))
    assert run.code == 0, run.output
    assert "ok      root          /dev/vda1, ext3, writable\n" in run.output
    assert "ok      file system   clean after it was shut down\n" in run.output


@pytest.mark.usefixtures("untouched")
def test_a_guest_that_takes_too_long(farm: Workshop) -> None:
    run = farm.doit("boot:ext2", "--timeout", "1", check=False)
    assert run.code == 1, run.output
    assert re.search(r"^    FAILED  boot  it does not come up in 1 s; ", run.output, re.MULTILINE), run.output


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(farm: Workshop, tmp_path: Path, number: signal.Signals, code: int) -> None:
    qemu_itself = shutil.which("qemu-system-x86_64")
    started = tmp_path / "started"
    os.mkfifo(started)
    (tmp_path / "qemu-system-x86_64").write_text(
        f'#!/bin/sh\n[ "$1" = --version ] || echo >{started}\nexec {qemu_itself} "$@"\n'
    )
    (tmp_path / "qemu-system-x86_64").chmod(0o755)
    argv = [sys.executable, "-m", "doit", "boot", "ext2", "ext3", "-n", "2"]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    told = os.open(started, os.O_RDWR)
    with subprocess.Popen(
        argv, cwd=farm.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as doit:
        assert doit.stdout is not None
        both = 2
        while both and select.select([told, doit.stdout.fileno()], [], [])[0] == [told]:
            both -= len(os.read(told, both))
        doit.send_signal(number)
        output, _ = doit.communicate()
    os.close(told)
    assert (doit.returncode, output.count("Traceback")) == (code, 0), output


def test_what_is_not_built_or_not_there(farm: Workshop) -> None:
    farm.change_list("swap: 64M", "swap: 65M")
    try:
        run = boot(farm, "ext3")
        assert (run.code, run.output) == (1, "ext3: not booted: swap:ext3 is not what the list says; run doit first\n")
    finally:
        farm.change_list("swap: 65M", "swap: 64M")
    assert boot(farm, "ext9").output.startswith("no such guest in the list: 'ext9'; did you mean 'ext")
    assert boot(farm, "ext2", "--timeout", "0").code == 2

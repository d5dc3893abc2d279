"""A guest runs by the script that it has for QEMU, and with -snapshot its disks stay what they were."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from pipeline import farm
from pipeline.image import ext
from pipeline.image.clone import clone
from tests.boot import qemu, report
from tests.machine import need_programs
from tests.pipeline.conftest import ROOT, Workshop

_LIST = """\
    farm: script
    images: {images}
    masters:
      busybox: {{tar: {tar}}}
    guests:
      deb01: {{master: busybox, memory: 256M, root: 64M, swap: 64M, hypervisors: qemu, extra: panic=-1}}
"""


def test_runs_by_its_script(variants: Workshop, scratch: Path) -> None:
    need_programs("qemu-system-x86_64")
    images = scratch / "a host, and its images"
    workshop = Workshop(scratch / "script")
    workshop.folder.mkdir()
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    workshop.write_list(_LIST.format(images=images, tar=variants.folder / "busybox.tar"))
    workshop.doit()
    guest = farm.load(workshop.folder / "guests.yaml").guests["deb01"]
    built, there = workshop.path("guests/deb01"), images / "deb01"
    there.mkdir(parents=True)
    for name in ("root.img", "swap.img", "vmlinuz", "initrd.img"):
        clone(built / name, there / name)
    with ext.open(there / "root.img") as filesystem:
        filesystem.apply(report.for_busybox(guest))
    before = digests(there)

    said = workshop.folder / "ttyS1"
    completed = subprocess.run(
        [built / "deb01.qemu.sh", "-snapshot", "-serial", f"file:{said}"],
        env={**os.environ, "ACCEL": "tcg"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=qemu.DEADLINE,
        check=False,
    )

    console = completed.stdout.decode(errors="replace")
    assert completed.returncode == 0, console
    facts = report.read(said.read_text(errors="replace"))
    assert facts["host name"] == "deb01", console
    assert facts["machine ID"] == guest.machine_id
    assert (facts["root device"], facts["swap device"]) == ("/dev/vda", "/dev/vdb")
    assert facts["swaps"].splitlines()[1].startswith("/dev/vdb ")
    assert digests(there) == before


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}

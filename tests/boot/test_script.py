"""A guest runs by the script that it has for QEMU, and with -snapshot its disks stay what they were."""

import hashlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

from pipeline import guestlist
from pipeline.boottest import inside
from pipeline.hypervisors import BY_NAME
from pipeline.image import ext
from pipeline.image.files.clone import clone
from pipeline.qemu import console
from tests.e2e.conftest import ROOT, Workshop
from tests.machine import need_programs

_LIST = """\
    farm: script
    images: {images}
    masters:
      busybox: {{tar: {tar}}}
    guests:
      deb01: {{master: busybox, memory: 256M, root: 64M, swap: 64M, hypervisors: qemu, extra: net.ifnames=0 panic=-1}}
"""


def test_runs_by_its_script(variants: Workshop, scratch: Path) -> None:
    need_programs("qemu-system-x86_64")
    images = scratch / "a host, and its images"
    workshop = Workshop(scratch / "script")
    workshop.folder.mkdir()
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    workshop.write_list(_LIST.format(images=images, tar=variants.folder / "busybox.tar"))
    workshop.doit()
    guest = guestlist.load(workshop.folder / "guests.yaml", hypervisors=BY_NAME).guests["deb01"]
    built, there = workshop.path("guests/deb01"), images / "deb01"
    there.mkdir(parents=True)
    for name in ("root.img", "swap.img", "vmlinuz", "initrd.img"):
        clone(built / name, there / name)
    with ext.open(there / "root.img") as filesystem:
        filesystem.apply(inside.reporter(guest, filesystem).layer)
    before = digests(there)

    ours, its = socket.socketpair()
    its_port = ["-chardev", f"socket,id=report,fd={its.fileno()}", "-serial", "chardev:report"]
    with (
        ours,
        its,
        (workshop.folder / "console").open("w+b") as spoken,
        subprocess.Popen(
            [built / "deb01.qemu.sh", "-snapshot", *its_port],
            env={**os.environ, "ACCEL": "tcg"},
            stdin=subprocess.DEVNULL,
            stdout=spoken,
            stderr=spoken,
            pass_fds=[its.fileno()],
        ) as script,
    ):
        its.close()
        said = report_of(ours)
        ours.sendall(b"power off\n")
        assert script.wait() == 0, (workshop.folder / "console").read_text(errors="replace")

    facts = inside.read(said)
    assert facts["host name"] == "deb01"
    assert facts["machine ID"] == guest.machine_id
    assert (facts["root device"], facts["swap device"]) == ("/dev/vda", "/dev/vdb")
    assert facts["swaps"].splitlines()[1].startswith("/dev/vdb ")
    assert digests(there) == before


def report_of(port: socket.socket) -> str:
    """What comes in until the report is whole."""
    said = ""
    while not inside.is_whole(said):
        data = port.recv(4096)
        assert data, f"the guest has ended: {said}"
        said = console.plain(said + data.decode())
    return said


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}

"""libvirtd itself runs a guest by its domain XML as it is: in session mode, as an ordinary user, by emulation."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory

import pytest

from pipeline.hypervisors import pc
from pipeline.image.files.clone import clone
from pipeline.qemu import console
from tests.boot import qemu
from tests.e2e.conftest import ROOT, Workshop
from tests.machine import PATH, need, need_programs

_LIST = """\
    farm: libvirtd
    images: {images}
    masters:
      busybox: {{tar: {tar}}}
    defaults: {{master: busybox, memory: 256M, root: 128M, swap: 64M, hypervisors: libvirt}}
    guests:
      kernel: {{libvirt: qemu}}
      disk: {{libvirt: {{type: qemu, boot: disk}}}}
      uefi: {{libvirt: {{type: qemu, boot: disk}}, firmware: uefi}}
"""
_NOBODY = 65534
"""The user that may nothing, on every Debian."""


@dataclass(frozen=True)
class Session:
    """The session of a user who has a libvirtd; its files are in `folder`."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": PATH, "LC_ALL": "C", "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder)}

    def argv(self, *command: str | Path) -> list[str]:
        """The command, to be run by nobody where we are root."""
        nobody = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
        return [*(nobody if os.geteuid() == 0 else ()), *map(str, command)]

    def virsh(self, *arguments: str | Path, check: bool = True) -> str:
        """What virsh prints."""
        argv = self.argv("virsh", "-c", "qemu:///session", *arguments)
        done = subprocess.run(argv, env=self.environment, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, f"{argv}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    need_programs("libvirtd", "virsh", "qemu-system-x86_64", "grub-mkimage", "mcopy", "mkfs.vfat")
    need(Path(pc.OVMF_CODE).exists(), "OVMF")
    with TemporaryDirectory(prefix="libvirtd-") as name:  # not among pytest's, which are nobody's business
        session = Session(Path(name))
        # QEMU's own messages go into a file; there is no virtlogd.
        settings = session.folder / ".config/libvirt/qemu.conf"
        settings.parent.mkdir(parents=True)
        settings.write_text('stdio_handler = "file"\n')
        _give_away(session.folder)
        with running(session):
            yield session


@pytest.fixture(scope="module")
def farm(variants: Workshop, scratch: Path, session: Session) -> Workshop:
    workshop = Workshop(scratch / "libvirtd")
    workshop.folder.mkdir()
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    workshop.write_list(_LIST.format(images=session.folder / "images", tar=variants.folder / "busybox.tar"))
    workshop.doit()
    return workshop


@pytest.mark.parametrize("name", ["kernel", "disk", "uefi"])
def test_starts_a_guest(farm: Workshop, session: Session, name: str) -> None:
    there = session.folder / "images" / name
    there.mkdir(parents=True)
    for path in farm.path(f"guests/{name}").iterdir():
        clone(path, there / path.name)
    _give_away(session.folder / "images")
    session.virsh("create", there / f"{name}.xml")
    try:
        said = heard(session, name)
        assert f"{name} login: " in said
        assert ("efi: EFI v" in said) == (name == "uefi")
        assert "swap on /dev/vdb" in said, "the kernel tells which device it swaps to, and how large that is"
        assert session.virsh("list", "--name").split() == [name]
    finally:
        session.virsh("destroy", name, check=False)


@contextmanager
def running(session: Session) -> Iterator[None]:
    """A libvirtd while the block runs."""
    log, ready = session.folder / "libvirtd.log", session.folder / "ready"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified, log.open("w") as said:
        notified.bind(str(ready))
        ready.chmod(0o666)
        argv = session.argv("libvirtd", "--timeout", str(qemu.DEADLINE))
        environment = {**session.environment, "NOTIFY_SOCKET": str(ready)}  # see sd_notify(3)
        with subprocess.Popen(argv, env=environment, cwd="/", stdout=said, stderr=said) as it:
            try:
                end = os.pidfd_open(it.pid)
                select([notified.fileno(), end], [], [])
                os.close(end)
                assert it.poll() is None, log.read_text()
                yield
            finally:
                it.terminate()


def heard(session: Session, name: str) -> str:
    """What the guest says on its first serial port until it asks for a login, or ends."""
    said = b""
    terminal = os.open(session.virsh("ttyconsole", name).strip(), os.O_RDWR | os.O_NOCTTY)
    try:
        while not console.asks_for_login(text := console.plain(said.decode(errors="replace"))):
            said += os.read(terminal, 1 << 16)
    finally:
        os.close(terminal)
    return text


def _give_away(folder: Path) -> None:
    """Let nobody have a folder with all that is in it, where we are root."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, _NOBODY, _NOBODY)

"""Farms in temporary folders, built by real doit runs."""

import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from tests import doit_process

ROOT = Path(__file__).parents[2]

# What Guestfarm looks for in a master, and no more, so that whole farms are built in a second.
TINY_MASTER: Mapping[str, bytes | None] = {
    "etc": None,
    "etc/hostname": b"master\n",
    "etc/motd": b"welcome\n",
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
    "etc/shadow": b"root:*:19000:0:99999:7:::\n",
    "etc/group": b"root:x:0:\nadm:x:4:\n",
    "etc/sudoers": b"@includedir /etc/sudoers.d\n",
    "usr": None,
    "usr/bin": None,
    "usr/bin/sudo": b"",
    "bin": None,
    "bin/sh": b"",
    "root": None,
    "sbin": None,
    "sbin/ifup": b"",
    "boot": None,
    "boot/vmlinuz-6.1": b"the kernel",
    "boot/initrd.img-6.1": b"the initrd",
    "boot/config-6.1": b"CONFIG_XEN=y\nCONFIG_XEN_PV=y\n",
}

TINY_LIST = """\
    farm: tiny
    masters: {debian: {tar: debian.tar}}
    defaults:
      master: debian
      root: 16M
      swap: 1M
      network: {bridge: xenbr0, gateway: 10.0.0.1}
      host_keys: first-boot
    guests:
      deb01: {address: 10.0.0.11/24}
      deb02: {address: 10.0.0.12/24}
      web[01:03]: {address: "10.0.0.[21:23]/24"}
"""


def write_tar(path: Path, contents: Mapping[str, bytes | None]) -> None:
    """A tar file with these files; None stands for a directory."""
    with tarfile.open(path, "w") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(f"./{name}")
            member.mtime = 1_600_000_000
            member.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            member.mode = 0o755 if data is None else 0o644
            member.size = len(data or b"")
            archive.addfile(member, io.BytesIO(data or b""))


@dataclass(frozen=True)
class Run:
    """How a doit run ended."""

    code: int
    output: str
    executed: list[str]


@dataclass(frozen=True)
class Workshop:
    """A folder with a dodo.py, a guest list and a master."""

    folder: Path
    pipeline: Path | None = None
    """Where another version of Guestfarm is, to be used instead of the one that is installed."""

    def write_list(self, text: str) -> None:
        (self.folder / "guests.yaml").write_text(dedent(text))

    def change_list(self, old: str, new: str) -> None:
        text = (self.folder / "guests.yaml").read_text()
        assert old in text
        (self.folder / "guests.yaml").write_text(text.replace(old, new))

    def write_master(self, changes: Mapping[str, bytes | None] | None = None) -> None:
        write_tar(self.folder / "debian.tar", {**TINY_MASTER, **(changes or {})})

    def doit(self, *arguments: str, check: bool = True, environment: Mapping[str, str] | None = None) -> Run:
        """Run doit; `executed` are the tasks whose actions ran, in their order."""
        variables = {**os.environ, **(environment or {})}
        if self.pipeline is None:
            ended = doit_process.run(arguments, self.folder, variables)
        else:
            variables["PYTHONPATH"] = str(self.pipeline)
            ended = doit_process.run_afresh(arguments, self.folder, variables)
        executed = [line[3:] for line in ended.output.splitlines() if line.startswith(".  ")]
        run = Run(ended.code, ended.output, executed)
        assert not check or run.code == 0, run.output
        return run

    def path(self, name: str) -> Path:
        return self.folder / "build" / name


def new_workshop(folder: Path, guests: str = TINY_LIST) -> Workshop:
    """A workshop in `folder` with this guest list, not built yet."""
    (folder / "dodo.py").write_text((ROOT / "dodo.py").read_text())
    workshop = Workshop(folder)
    workshop.write_list(guests)
    workshop.write_master()
    return workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A workshop with a tiny farm of five guests, not built yet."""
    return new_workshop(tmp_path)


@pytest.fixture
def built(workshop: Workshop) -> Workshop:
    """The same, built."""
    workshop.doit()
    return workshop

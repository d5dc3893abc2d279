"""Farms to be built in folders of their own, by real doit runs."""

import json
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from ipaddress import IPv4Address
from pathlib import Path

from benchmarks.measure import Cost, cost_of_program
from pipeline import guestlist, hypervisors
from pipeline.engine import Artifact
from pipeline.tasks import Site

_DODO = Path(__file__).parents[1] / "dodo.py"
_GATEWAY = IPv4Address("10.255.0.1")

# What Guestfarm looks for in a master, and no more.
_TINY_MASTER = {
    "etc/hostname": b"master\n",
    "sbin/ifup": b"",
    "boot/vmlinuz-1": b"a kernel",
    "boot/initrd.img-1": b"an initrd",
    "boot/config-1": b"CONFIG_XEN_PV=y\n",
}


@dataclass(frozen=True, slots=True)
class Workshop:
    """A folder with a dodo.py, whose guests start from one master, as guests.yaml describes it, and have `root` disks.

    Which guests they are changes from list to list: a batch is a number of guests with a name.
    """

    folder: Path
    master: str
    root: str
    host_keys: str
    """Those that guests have from the start: none, as in what they are compared with, if nothing else is said."""

    @classmethod
    def at(cls, folder: Path, kind: str, master: Path, root: str, host_keys: str = "first-boot") -> "Workshop":
        """A new workshop in `folder`; the master is a tar file or an image, as `kind` says."""
        folder.mkdir()
        shutil.copy(_DODO, folder)
        return cls(folder, f"{kind}: {json.dumps(str(master))}", root, host_keys)

    def site(self, batch: str, count: int) -> Site:
        """The site with a farm of just this batch."""
        return Site(
            guestlist.load(self._list(batch, count), hypervisors=hypervisors.BY_NAME),
            self.folder / "build",
            self.folder / "keys",
        )

    def doit(self, batch: str, count: int, *options: str) -> Cost:
        """Run doit with these options on the list of just this batch."""
        return self._doit(self._list(batch, count), *options)[0]

    def idle(self, batch: str) -> Cost:
        """Run it once more. Raises RuntimeError when there was something to do."""
        cost, output = self._doit(self.folder / f"{batch}.yaml")
        executed = [line for line in output.splitlines() if line.startswith(".  ")]
        if executed:
            raise RuntimeError(f"a second run was to find nothing to do, and made {executed[0]}")
        return cost

    def other(self, batch: str, *arguments: str) -> Cost:
        """Run doit with other `arguments` on the same list."""
        return self._doit(self.folder / f"{batch}.yaml", *arguments)[0]

    def changed(self, batch: str, memory: int) -> Cost:
        """Run it once more after the last guest of the list was given another `memory`, in MiB."""
        path = self.folder / f"{batch}.yaml"
        before, _, _ = path.read_text().rpartition("memory: ")
        path.write_text(f"{before}memory: {memory}M}}\n")
        return self._doit(path)[0]

    def remove(self, site: Site) -> None:
        """Remove the artifacts of the guests of `site`."""
        for guest in site.farm.guests.values():
            shutil.rmtree(site.guest(guest))

    def _doit(self, guests: Path, *arguments: str) -> tuple[Cost, str]:
        argv: list[str | Path] = [
            sys.executable,
            "-m",
            "doit",
            "-f",
            self.folder / _DODO.name,
            *arguments,
            f"guests={guests}",
        ]
        return cost_of_program(*argv)

    def _list(self, batch: str, count: int) -> Path:
        path = self.folder / f"{batch}.yaml"
        path.write_text(self._text(batch, count))
        return path

    def _text(self, batch: str, count: int) -> str:
        return "\n".join(
            [
                "farm: benchmark",
                f"masters: {{master: {{{self.master}}}}}",
                "defaults:",
                "  master: master",
                "  memory: 512M",
                f"  root: {{size: {self.root}, fs: ext4}}",
                "  swap: 512M",
                f"  host_keys: {self.host_keys}",
                f"  network: {{bridge: xenbr0, gateway: {_GATEWAY}, nameservers: [{_GATEWAY}]}}",
                "guests:",
                *_guests(batch, count),
                "",
            ]
        )


def actions(*artifacts: Artifact) -> list[Callable[[], object]]:
    """What doit has the tasks of `artifacts` do, without doit around it."""
    return [artifact.build for artifact in artifacts]


def tiny_master(path: Path) -> None:
    """Make a tar file that is just enough of a master."""
    with tarfile.open(path, "w") as archive:
        for name, data in _TINY_MASTER.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, BytesIO(data))


def _guests(batch: str, count: int) -> Iterator[str]:
    """Lines for `count` guests: of each hundred, half are a range and half stand for themselves, as in a real list.

    MAC addresses are pinned: of thousands of derived ones, some clash by chance.
    """
    for start in range(0, count, 100):
        number, hundred = min(100, count - start), start // 100
        name, subnet = f"{batch}-{hundred}", f"10.{hundred // 250}.{hundred % 250}"
        mac = f"00:16:3e:{128 + hundred // 256:02x}:{hundred % 256:02x}"
        if number > 1:
            half = number // 2
            addresses = f'address: "{subnet}.[1:{half}]/8", mac: "{mac}:[10:{half + 9}]"'
            yield f'  "{name}-[001:{half:03}]": {{{addresses}}}'
        for single in range(number // 2 + 1, number + 1):
            yield f"  {name}-{single:03}: {{address: {subnet}.{single}/8, mac: '{mac}:{single + 99:02x}', memory: 1G}}"

"""What guests' Xen configurations ask for, as machines for QEMU."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.model.guest import Guest
from pipeline.model.sizes import MIB
from pipeline.qemu.machine import Drive, Kernel, Machine, cards

GATEWAY_BY_DHCP = "10.0.2.2"
"""Where QEMU itself answers in the network that it gives addresses of by DHCP."""

DEADLINE = 3000
"""After how many seconds a guest hangs: a hundred times what Debian takes on an idle machine, so that load is none."""


@dataclass(frozen=True)
class Domain:
    """What a configuration asks a hypervisor for."""

    memory: int
    """In MiB."""
    vcpus: int
    kernel: Path
    ramdisk: Path
    extra: str
    disks: list[Path]
    macs: list[str]

    def machine(self, guest: Guest) -> Machine:
        """The same as a PC, whose disks and console have other names than Xen's."""
        assert self.macs == [card.mac for card in cards(guest)]
        command_line = f"root=UUID={guest.root_uuid} ro {self.extra.replace('hvc0', 'ttyS0')}"
        return Machine(
            memory=self.memory * MIB,
            vcpus=self.vcpus,
            kernel=Kernel(image=self.kernel, initrd=self.ramdisk, command_line=command_line),
            drives=[Drive(number=number, image=disk) for number, disk in enumerate(self.disks)],
            cards=cards(guest),
        )


def read(config: Path) -> Domain:
    """What xl(1) would read in the file `config`.

    That gives the other files the paths which they will have on the host of the guests; here they are beside it.
    """
    values = dict(_assignments(config.read_text()))
    return Domain(
        memory=values["memory"],
        vcpus=values["vcpus"],
        kernel=_beside(config, values["kernel"]),
        ramdisk=_beside(config, values["ramdisk"]),
        extra=values["extra"],
        disks=[_beside(config, _field("target", disk)) for disk in values["disk"]],
        macs=[_field("mac", vif) for vif in values["vif"]],
    )


def _assignments(text: str) -> Iterator[tuple[str, Any]]:
    """The settings in a file of the form that xl.cfg(5) describes, which is Python's."""
    for statement in ast.parse(text).body:
        assert isinstance(statement, ast.Assign)
        (name,) = statement.targets
        assert isinstance(name, ast.Name)
        yield name.id, ast.literal_eval(statement.value)


def _field(name: str, text: str) -> str:
    match = re.search(rf"\b{name}=([^,]*)", text)
    assert match, f"there is no {name} in {text!r}"
    return match[1]


def _beside(config: Path, path: str) -> Path:
    return config.with_name(PurePosixPath(path).name)

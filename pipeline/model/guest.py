"""What a guest is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pipeline.model.disk import Disk
from pipeline.model.file import Put
from pipeline.model.master import Base, Identity
from pipeline.model.network import Nic
from pipeline.model.role import Role, Units, Variables
from pipeline.model.user import HostKey, User
from pipeline.model.virtualization import Action, Firmware, HostKernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """One virtual machine, with nothing left to default or derive."""

    name: str
    base: Base
    memory: int
    maxmem: int
    """What the host may give it while it runs; no less than `memory`."""
    vcpus: int
    maxvcpus: int
    """What the host may give it while it runs; no less than `vcpus`."""
    swap: int | None
    disks: tuple[Disk, ...]
    """What it has besides root and swap, in the order of the list."""
    nics: tuple[Nic, ...]
    users: tuple[User, ...]
    roles: tuple[Role, ...]
    files: tuple[Put, ...]
    units: Units = Units()
    """Its own, which win over those of roles."""
    shared_variables: Variables
    """Of the defaults: those of roles win over them."""
    variables: Variables
    """Its own, which win over those of roles."""
    host_keys: tuple[HostKey, ...] | None
    """The kinds of SSH host keys that it has before it boots; None: its first boot makes them."""
    hypervisors: tuple[str, ...]
    host_kernel: HostKernel | None
    extra: str
    """Arguments for the kernel besides ours, separated by blanks."""
    on_poweroff: Action
    on_reboot: Action
    on_crash: Action
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What only one hypervisor has to know, by its name; see the modules of hypervisors/."""
    identity: Identity = Identity.FILES
    firmware: Firmware = Firmware.BIOS
    description: str | None = None
    """For people, in hypervisors' configurations."""
    uuid: UUID
    """Its own, as hypervisors know it."""
    root_uuid: UUID
    swap_uuid: UUID
    machine_id: str
    """32 lower case hexadecimal digits, as in machine-id(5)."""
    timezone: str | None
    """As Europe/Berlin; None: the master's, and so with the next two."""
    locale: str | None
    """What LANG is, as de_DE.UTF-8."""
    keyboard: str | None
    """The layout, and perhaps its variant, as de or de-nodeadkeys."""

"""Guests for the tests, as the guest list would give them."""

from dataclasses import replace
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any
from uuid import UUID

from pipeline.hypervisors import BY_NAME
from pipeline.hypervisors.libvirt import LibvirtOptions
from pipeline.hypervisors.qemu import QemuOptions
from pipeline.hypervisors.vmware import VmwareOptions
from pipeline.hypervisors.xen import XenOptions
from pipeline.model.disk import Allocation, FileSystem
from pipeline.model.guest import Guest
from pipeline.model.master import Base, Master, Tar
from pipeline.model.network import Nic
from pipeline.model.virtualization import Action

MIB = 1 << 20
MASTER = Master(name="debian", source=Tar(path=Path("debian.tar")))
BASE = Base(master=MASTER, filesystem=FileSystem.EXT4, size=16 * MIB, allocation=Allocation.SPARSE)
DOMAIN_UUID = UUID("cccccccc-1111-4222-8333-444444444444")
ROOT_UUID = UUID("aaaaaaaa-1111-4222-8333-444444444444")
SWAP_UUID = UUID("bbbbbbbb-1111-4222-8333-444444444444")
MACHINE_ID = "0123456789abcdef0123456789abcdef"


def nic(address: str | None, gateway: str | None = None, *nameservers: str, mac: str = "00:16:3e:00:00:01") -> Nic:
    """A network interface; without `address` it asks DHCP."""
    return Nic(
        mac=mac,
        bridge="xenbr0",
        addresses=(ip_interface(address),) if address else (),
        dhcp4=address is None,
        gateways=(ip_address(gateway),) if gateway else (),
        nameservers=tuple(map(ip_address, nameservers)),
    )


GUEST = Guest(
    name="deb01",
    base=BASE,
    memory=512 * MIB,
    maxmem=512 * MIB,
    vcpus=1,
    maxvcpus=1,
    swap=512 * MIB,
    disks=(),
    nics=(nic("10.0.0.11/24", "10.0.0.1", "10.0.0.1", "9.9.9.9"),),
    users=(),
    roles=(),
    files=(),
    shared_variables=(),
    variables=(),
    host_keys=None,
    hypervisors=("xen",),
    host_kernel=None,
    extra="",
    on_poweroff=Action.DESTROY,
    on_reboot=Action.RESTART,
    on_crash=Action.DESTROY,
    options={"xen": XenOptions(), "libvirt": LibvirtOptions(), "qemu": QemuOptions(), "vmware": VmwareOptions()},
    uuid=DOMAIN_UUID,
    root_uuid=ROOT_UUID,
    swap_uuid=SWAP_UUID,
    machine_id=MACHINE_ID,
    timezone=None,
    locale=None,
    keyboard=None,
)


def guest(**changes: Any) -> Guest:
    """deb01, with changes; those of a hypervisor's options have its name."""
    options = {name: changes.pop(name) for name in BY_NAME if name in changes}
    return replace(GUEST, **changes, options={**GUEST.options, **options})

"""A host with Xen: the hypervisor in QEMU's emulation, with a small Debian as its dom0, made by Guestfarm itself."""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.boottest import inside
from pipeline.image import ext
from pipeline.image.layer.entries import Entry, text
from pipeline.qemu.machine import Drive, Kernel, Machine
from tests.e2e.conftest import Workshop

# The hooks leave the initrd with what QEMU has, since dom0 unpacks it under emulation; and most drivers out.
LIST = """\
    farm: xen
    masters:
      dom0:
        bootstrap:
          suite: bookworm
          packages:
            - e2fsprogs
            - iproute2
            - iputils-ping
            - kmod
            - linux-image-amd64
            - xen-hypervisor-4.17-amd64
            - xen-utils-4.17
          run:
            - echo MODULES=list >"$1/etc/initramfs-tools/conf.d/modules"
            - printf '%s\\n' virtio_pci virtio_blk ext4 >"$1/etc/initramfs-tools/modules"
            - >-
              cd "$1"/lib/modules/*/kernel && rm -r sound drivers/gpu drivers/media drivers/infiniband
              drivers/net/wireless drivers/net/ethernet drivers/scsi drivers/staging drivers/iio drivers/usb fs/xfs
            - chroot "$1" sh -c 'depmod "$(ls /lib/modules)"'
            - chroot "$1" update-initramfs -u
    guests:
      dom0: {master: dom0, root: 2G, swap: none, network: none, hypervisors: qemu}
"""

BRIDGE, ADDRESS = "xenbr0", "10.0.0.1/24"

_XEN = "boot/xen-4.17-amd64.gz"
_ARGUMENTS = (  # see docs/misc/xen-command-line of Xen
    "com1=115200,8n1 console=com1 dom0_mem=640M,max:640M dom0_max_vcpus=1 dom0_vcpus_pin spec-ctrl=no xpti=no"
)
_INIT = "etc/xen-host"

_START = f"""\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -o remount,rw /
mkdir -p /dev/pts /dev/shm /run/lock
mount -t devpts devpts /dev/pts
# What udev would make, and Xen's scripts look for.
ln -sf /proc/self/fd /dev/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -sf /proc/self/fd/${{n%%:*}} /dev/${{n#*:}}; done
mount -t xenfs xenfs /proc/xen
for module in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xen-blkback xen-netback loop bridge; do
    modprobe -q "$module"
done
ip link set lo up
ip link add {BRIDGE} type bridge
ip addr add {ADDRESS} dev {BRIDGE}
ip link set {BRIDGE} up
mkdir -p /images /run/xen /var/lib/xen /var/log/xen/console
mount /dev/vdb /images
cd /usr/lib/xen-4.17/bin
./oxenstored --pid-file /run/xen/xenstored.pid
./xenconsoled --log=guest --log-dir=/var/log/xen/console --pid-file=/run/xen/xenconsoled.pid
./xen-init-dom0
exec /{inside.SCRIPT}
"""

# There is no init that would do it.
_POWER_OFF = """\
#!/bin/sh
sync
echo o >/proc/sysrq-trigger
sleep 60
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class XenMachine(Machine):
    """The machine that Xen runs on. QEMU loads it by Multiboot, which takes no kernels but those of 32 bits: Xen is."""

    def argv(self, accelerator: str, console: int, report: int) -> list[str | Path]:
        """As Machine has it, with a processor that can run guests of its own."""
        assert accelerator == "tcg"
        argv = [*Machine.argv(self, accelerator, console, report), "-smp", "2", "-cpu", "qemu64,+svm,+npt"]
        argv[argv.index("-accel") + 1] = "tcg,thread=multi"
        return argv


def machine(workshop: Workshop, images: Path, folder: Path) -> XenMachine:
    """The machine whose dom0 has the file system in `images` at /images; its own files go to `folder`."""
    built = workshop.path("guests/dom0")
    with ext.open(built / "root.img", write=False) as filesystem:
        (folder / "xen").write_bytes(gzip.decompress(filesystem.read(_XEN)))
        root = f"UUID={filesystem.uuid}"
    modules = {name: folder / name for name in ("vmlinuz", "initrd.img")}
    for name, path in modules.items():
        path.symlink_to(built / name)
    # Two modules in one: what stands behind the first blank is the kernel's command line.
    kernel = f"{modules['vmlinuz']} root={root} ro console=hvc0 quiet panic=-1 init=/{_INIT}"
    return XenMachine(
        memory=1536 << 20,
        vcpus=2,
        kernel=Kernel(image=folder / "xen", initrd=Path(f"{kernel},{modules['initrd.img']}"), command_line=_ARGUMENTS),
        drives=[Drive(number=0, image=built / "root.img"), Drive(number=1, image=images)],
        cards=[],
    )


def layer(commands: Mapping[str, str]) -> Iterator[Entry]:
    """What has dom0 run `commands` and report what they print, by their names."""
    yield text(_INIT, _START, mode=0o755)
    yield text("usr/local/sbin/poweroff", _POWER_OFF, mode=0o755)
    yield inside.script(commands)


def with_root(powered: XenMachine, root: Path) -> XenMachine:
    """The same machine with another root disk."""
    first, *others = powered.drives
    return replace(powered, drives=[replace(first, image=root), *others])

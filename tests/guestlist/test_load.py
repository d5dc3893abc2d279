"""Good guest lists, and the farms that they describe."""

import gc
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path, PurePosixPath
from uuid import UUID

import pytest

from pipeline import guestlist
from pipeline.errors import ListError
from pipeline.hypervisors import BY_NAME
from pipeline.hypervisors.libvirt import LibvirtOptions, LibvirtType
from pipeline.hypervisors.qemu import QemuOptions
from pipeline.hypervisors.vmware import VmwareOptions
from pipeline.hypervisors.xen import XenDevices, XenOptions, XenType
from pipeline.model.disk import Allocation, FileSystem
from pipeline.model.farm import Farm
from pipeline.model.file import PutFile
from pipeline.model.guest import Guest
from pipeline.model.master import Base, Bootstrap, Derived, Directory, Family, Image, Master, Tar
from pipeline.model.network import Nic
from pipeline.model.user import HostKey
from pipeline.model.virtualization import Action, HostKernel
from tests import schemas

pytestmark = pytest.mark.unit

MIB = 1 << 20
GIB = 1 << 30
EXAMPLE = Path(__file__).parents[2] / "guests.yaml"

DEBIAN = """\
farm: example
masters: {debian: {bootstrap: {suite: bookworm}}}
"""


MASTERS = """\
farm: example
images: /srv/images
masters:
  debian:
    bootstrap:
      suite: bookworm
      packages: [openssh-server, nginx]
      mirror: [http://mirror.example.org/debian, "file:///srv/mirror"]
      components: [main, contrib]
      keyring: keys.gpg
      variant: apt
      run: ['chroot "$1" true', 'chroot "$1" true']
  appliance: {tar: root.tar.zst, kernel: /boot/vmlinuz, initrd: /boot/initrd.img}
  scratch: {directory: ./rootfs}
  legacy: {image: ABSOLUTE/root.img}
  shop: {from: web, family: none}
  web: {from: appliance, packages: nginx, run: [x, x]}
guests:
  a: {master: appliance}
  b: {master: scratch}
  c: {master: legacy}
  d: {master: legacy, root: {fs: ext3}}
"""


def load(folder: Path, text: str) -> Farm:
    path = folder / "guests.yaml"
    path.write_text(text)
    loaded = guestlist.load(path, hypervisors=BY_NAME)
    schemas.check(text)
    return loaded


def load_guests(folder: Path, guests: str, defaults: str = "{master: debian}") -> Farm:
    return load(folder, f"{DEBIAN}defaults: {defaults}\nguests: {guests}\n")


def load_guest(folder: Path, keys: str, defaults: str = "{master: debian}") -> Guest:
    return load_guests(folder, f"{{g: {keys}}}", defaults).guests["g"]


def test_the_example_farm() -> None:
    example = guestlist.load(EXAMPLE, hypervisors=BY_NAME)
    schemas.check(EXAMPLE.read_text())
    packages = "linux-image-cloud-amd64 systemd-sysv udev ifupdown iproute2 iputils-ping netbase openssh-server"
    debian = Master(name="debian", source=Bootstrap(suite="bookworm", packages=tuple(packages.split())))
    base = Base(master=debian, filesystem=FileSystem.EXT4, size=2 * GIB, allocation=Allocation.SPARSE)
    assert example.name == "example"
    assert example.images == PurePosixPath("/opt/xen/images")
    assert example.masters == {"debian": debian}
    assert example.bases == (base,)
    assert list(example.guests) == ["deb01", "deb02", "deb03"]
    assert [guest.memory for guest in example.guests.values()] == [512 * MIB, GIB, 512 * MIB]
    assert [guest.nics[0].mac for guest in example.guests.values()] == [
        "00:16:3e:60:e9:90",
        "00:16:3e:17:35:50",
        "00:16:3e:34:ec:a3",
    ]
    assert example.guests["deb01"] == Guest(
        name="deb01",
        base=base,
        memory=512 * MIB,
        maxmem=512 * MIB,
        vcpus=1,
        maxvcpus=1,
        swap=512 * MIB,
        disks=(),
        nics=(
            Nic(
                mac="00:16:3e:60:e9:90",
                bridge="xenbr0",
                addresses=(IPv4Interface("10.0.0.11/24"),),
                gateways=(IPv4Address("10.0.0.1"),),
                nameservers=(IPv4Address("10.0.0.1"),),
            ),
        ),
        users=(),
        roles=(),
        shared_variables=(),
        variables=(),
        files=(),
        host_keys=(HostKey.ED25519, HostKey.ECDSA),
        hypervisors=("xen",),
        host_kernel=None,
        extra="",
        on_poweroff=Action.DESTROY,
        on_reboot=Action.RESTART,
        on_crash=Action.DESTROY,
        options={"xen": XenOptions(), "libvirt": LibvirtOptions(), "qemu": QemuOptions(), "vmware": VmwareOptions()},
        uuid=UUID("490891b7-bca7-53ac-b9cd-4faaadf26921"),
        root_uuid=UUID("feddf171-ffa7-50d7-871d-03d5d731369e"),
        swap_uuid=UUID("e4e0faf7-012b-57c4-92ca-f9a86566033e"),
        machine_id="f9a2b43f6a28551b967bc8e7e42dc51a",
        timezone=None,
        locale=None,
        keyboard=None,
    )


def test_what_a_guest_is_when_the_list_says_next_to_nothing(tmp_path: Path) -> None:
    listed = load(tmp_path, DEBIAN + "guests:\n  g: {master: debian}\n")
    guest = listed.guests["g"]
    assert listed.images == PurePosixPath("/opt/xen/images")
    assert (guest.memory, guest.vcpus, guest.swap, guest.nics) == (512 * MIB, 1, None, ())
    assert (guest.base.size, guest.base.filesystem) == (2 * GIB, FileSystem.EXT4)
    assert guest.base.allocation is Allocation.SPARSE
    assert (guest.hypervisors, guest.host_kernel) == (("xen",), None)


def test_a_guest_may_be_left_empty(tmp_path: Path) -> None:
    listed = load(tmp_path, f"{DEBIAN}defaults: {{master: debian}}\nguests:\n  deb01:\n  deb02: {{}}\n  deb03: ~\n")
    assert list(listed.guests) == ["deb01", "deb02", "deb03"]


def test_a_guest_s_own_value_wins_and_sections_merge_key_by_key(tmp_path: Path) -> None:
    defaults = (
        "{master: debian, memory: 256M, swap: 1G, root: {size: 4G, fs: ext3, allocate: full},"
        " network: {bridge: br0, gateway: 10.0.0.1, nameservers: [10.0.0.1, 10.0.0.2]}}"
    )
    guest = load_guest(
        tmp_path,
        "{memory: 1G, swap: none, root: {size: 8G}, network: {address: 10.0.0.9/24, nameservers: 10.0.0.3}}",
        defaults,
    )
    assert (guest.memory, guest.swap) == (GIB, None)
    assert (guest.base.size, guest.base.filesystem) == (8 * GIB, FileSystem.EXT3)
    assert guest.base.allocation is Allocation.FULL
    (nic,) = guest.nics
    assert (nic.bridge, nic.gateways) == ("br0", (IPv4Address("10.0.0.1"),))
    assert nic.nameservers == (IPv4Address("10.0.0.3"),)


def test_the_largest_and_the_smallest_guest(tmp_path: Path) -> None:
    large = load_guest(tmp_path, "{memory: 16T, vcpus: 4096, root: 16T, swap: 16T}")
    assert (large.memory, large.vcpus, large.base.size, large.swap) == (16 << 40, 4096, 16 << 40, 16 << 40)
    small = load_guest(tmp_path, "{memory: 16M, vcpus: 1, root: 1M, swap: 40K}")
    assert (small.memory, small.vcpus, small.base.size, small.swap) == (16 * MIB, 1, MIB, 40 << 10)


def test_a_size_alone_is_the_root_disk_s(tmp_path: Path) -> None:
    guest = load_guest(tmp_path, "{root: 3G}", "{master: debian, root: {size: 4G, fs: ext2}}")
    assert (guest.base.size, guest.base.filesystem) == (3 * GIB, FileSystem.EXT2)


@pytest.mark.parametrize(
    "keys",
    [
        "{address: 10.0.0.9/24, network: {bridge: br0}}",
        "{network: {bridge: br0}, address: 10.0.0.9/24}",
        "{network: {bridge: br0, address: 10.0.0.9/24}}",
    ],
)
def test_an_address_stands_in_the_network_or_beside_it(tmp_path: Path, keys: str) -> None:
    (nic,) = load_guest(tmp_path, keys).nics
    assert nic.addresses == (IPv4Interface("10.0.0.9/24"),)


def test_a_guest_may_have_no_network_and_no_gateway(tmp_path: Path) -> None:
    defaults = "{master: debian, network: {bridge: br0, gateway: 10.0.0.1}}"
    assert load_guest(tmp_path, "{network: none}", defaults).nics == ()
    (nic,) = load_guest(tmp_path, "{network: {address: 10.9.0.9/24, gateway: none}}", defaults).nics
    assert nic.gateways == ()


def test_with_dhcp_the_defaults_routes_and_name_servers_do_not_apply(tmp_path: Path) -> None:
    defaults = "{master: debian, network: {bridge: br0, gateway: 10.0.0.1, nameservers: [10.0.0.1]}}"
    (nic,) = load_guest(tmp_path, "{address: dhcp}", defaults).nics
    assert (nic.bridge, nic.addresses, nic.dhcp4, nic.gateways, nic.nameservers) == ("br0", (), True, (), ())
    (nic,) = load_guest(tmp_path, "{network: {address: dhcp, nameservers: [9.9.9.9]}}", defaults).nics
    assert nic.nameservers == (IPv4Address("9.9.9.9"),)


def test_an_ipv6_guest_and_its_link_local_gateway(tmp_path: Path) -> None:
    (nic,) = load_guest(tmp_path, "{network: {bridge: br0, address: 2001:db8::9/64, gateway: fe80::1}}").nics
    assert nic.addresses == (IPv6Interface("2001:db8::9/64"),)
    assert nic.gateways == (IPv6Address("fe80::1"),)


def test_a_kernel_of_the_host(tmp_path: Path) -> None:
    defaults = "{master: debian, kernel: /boot/a, ramdisk: /boot/b}"
    kernel, ramdisk = PurePosixPath("/boot/a"), PurePosixPath("/boot/b")
    assert load_guest(tmp_path, "{}", defaults).host_kernel == HostKernel(kernel=kernel, ramdisk=ramdisk)
    own = HostKernel(kernel=PurePosixPath("/boot/c"), ramdisk=None)
    assert load_guest(tmp_path, "{kernel: /boot/c}", defaults).host_kernel == own
    assert load_guest(tmp_path, "{kernel: none}", defaults).host_kernel is None


def test_hypervisors(tmp_path: Path) -> None:
    defaults = "{master: debian, hypervisors: [xen, qemu]}"
    assert load_guest(tmp_path, "{}", defaults).hypervisors == ("xen", "qemu")
    assert load_guest(tmp_path, "{hypervisors: libvirt}", defaults).hypervisors == ("libvirt",)


def test_limits_are_what_a_guest_has_unless_they_are_given(tmp_path: Path) -> None:
    guest = load_guest(tmp_path, "{memory: 256M, vcpus: 2}")
    assert (guest.maxmem, guest.maxvcpus) == (256 * MIB, 2)
    guest = load_guest(tmp_path, "{maxmem: 1G, maxvcpus: 4}")
    assert (guest.memory, guest.maxmem, guest.vcpus, guest.maxvcpus) == (512 * MIB, GIB, 1, 4)


def test_what_follows_and_what_the_kernel_is_told(tmp_path: Path) -> None:
    defaults = "{master: debian, extra: quiet, on_poweroff: restart, on_reboot: restart, on_crash: preserve}"
    guest = load_guest(tmp_path, "{}", defaults)
    assert (guest.on_poweroff, guest.on_reboot) == (Action.RESTART, Action.RESTART)
    assert (guest.on_crash, guest.extra) == (Action.PRESERVE, "quiet")
    assert load_guest(tmp_path, "{extra: none}", defaults).extra == ""


def test_what_one_hypervisor_alone_has(tmp_path: Path) -> None:
    defaults = "{master: debian, xen: pvh, libvirt: qemu, hypervisors: [xen, libvirt]}"
    guest = load_guest(tmp_path, "{xen: {device_names: sda1}}", defaults)
    assert guest.options["xen"] == XenOptions(type=XenType.PVH, device_names=XenDevices.SDA1)
    assert guest.options["libvirt"] == LibvirtOptions(type=LibvirtType.QEMU)
    assert load_guest(tmp_path, "{hypervisors: xen}", defaults).hypervisors == ("xen",)


def test_ranges_are_many_guests(tmp_path: Path) -> None:
    guests = """
  web[08:10]:
    address: "10.0.1.[11:13]/24"
    memory: 1G
    mac: {web09: 00:16:3E:00:00:09}
  db[1:2]:
    network: {bridge: "br[5:6]", address: "10.0.2.[1:2]/24", nameservers: ["10.0.2.[8:9]", 10.0.2.7]}
    mac: "00:16:3e:00:01:[10:11]"
  one: {address: 10.0.1.1/24}"""
    listed = load_guests(tmp_path, guests, "{master: debian, network: {bridge: br0}}")
    assert list(listed.guests) == ["web08", "web09", "web10", "db1", "db2", "one"]
    nics = {name: guest.nics[0] for name, guest in listed.guests.items()}
    assert [str(address) for nic in nics.values() for address in nic.addresses] == [
        *("10.0.1.11/24", "10.0.1.12/24", "10.0.1.13/24"),
        *("10.0.2.1/24", "10.0.2.2/24", "10.0.1.1/24"),
    ]
    assert [nics[name].mac for name in ("web09", "db1", "db2")] == [
        *("00:16:3e:00:00:09", "00:16:3e:00:01:10", "00:16:3e:00:01:11")
    ]
    assert [nics[name].bridge for name in ("web08", "db1", "db2")] == ["br0", "br5", "br6"]
    assert nics["db2"].nameservers == (IPv4Address("10.0.2.9"), IPv4Address("10.0.2.7"))
    assert {listed.guests[name].memory for name in ("web08", "web09", "web10")} == {GIB}


def test_brackets_in_texts_are_no_ranges(tmp_path: Path) -> None:
    guests = """
  one:
    files: {/etc/a: "[main]\\n", /etc/b: {text: "x[1:2]"}}
    vars: {list: ["[a]", "b"], slice: "[1:2]"}
    users: {admin: {sudo: "ALL=(root) NOPASSWD: /bin/ls [a-z]*", comment: "[staff]"}}
    description: "web [old]"
  two[1:2]:
    files: {/etc/a: "[1:2]", /etc/b: {text: "[1:9]\\n[main]", owner: "user[1:2]"}}
    vars: {port: "[8001:8002]", name: "[a]"}
    description: "number [1:2]"
"""
    listed = load_guests(tmp_path, guests, "{master: debian, network: none}")
    one, first, second = listed.guests.values()
    assert [file.text for file in one.files if isinstance(file, PutFile)] == ["[main]\n", "x[1:2]"]
    assert dict(one.variables) == {"list": ("[a]", "b"), "slice": "[1:2]"}
    assert (one.users[0].comment, one.description) == ("[staff]", "web [old]")
    assert [file.text for file in second.files if isinstance(file, PutFile)] == ["[1:2]", "[1:9]\n[main]"]
    owners = [file.owner for guest in (first, second) for file in guest.files[1:] if isinstance(file, PutFile)]
    assert owners == ["user1", "user2"]
    assert dict(second.variables) == {"port": "8002", "name": "[a]"}
    assert second.description == "number 2"


def test_a_guest_is_the_same_in_a_range_and_on_its_own(tmp_path: Path) -> None:
    defaults = "{master: debian, network: {bridge: br0, gateway: 10.0.0.1}}"
    ranged = load_guests(tmp_path, '{"g[1:3]": {address: "10.0.0.[11:13]/24"}}', defaults)
    single = load_guests(tmp_path, "{g2: {address: 10.0.0.12/24}}", defaults)
    assert ranged.guests["g2"] == single.guests["g2"]


def test_masters_of_all_kinds(tmp_path: Path) -> None:
    for name in ("keys.gpg", "root.tar.zst", "root.img"):
        (tmp_path / name).touch()
    (tmp_path / "rootfs").mkdir()
    listed = load(tmp_path, MASTERS.replace("ABSOLUTE", str(tmp_path)))
    assert listed.images == PurePosixPath("/srv/images")
    kernel, initrd = PurePosixPath("/boot/vmlinuz"), PurePosixPath("/boot/initrd.img")
    assert listed.masters == {
        "debian": Master(
            name="debian",
            source=Bootstrap(
                suite="bookworm",
                packages=("openssh-server", "nginx"),
                mirrors=("http://mirror.example.org/debian", "file:///srv/mirror"),
                components=("main", "contrib"),
                keyring=tmp_path / "keys.gpg",
                variant="apt",
                run=('chroot "$1" true', 'chroot "$1" true'),
            ),
        ),
        "appliance": Master(
            name="appliance",
            source=Tar(path=tmp_path / "root.tar.zst"),
            kernel=kernel,
            initrd=initrd,
        ),
        "scratch": Master(name="scratch", source=Directory(path=tmp_path / "rootfs")),
        "legacy": Master(name="legacy", source=Image(path=tmp_path / "root.img")),
        "shop": Master(
            name="shop", source=Derived(parent=listed.masters["web"]), kernel=kernel, initrd=initrd, family=Family.NONE
        ),
        "web": Master(
            name="web",
            source=Derived(parent=listed.masters["appliance"], packages=("nginx",), run=("x", "x")),
            kernel=kernel,
            initrd=initrd,
        ),
    }
    filesystems = [guest.base.filesystem for guest in listed.guests.values()]
    assert filesystems == [FileSystem.EXT4, FileSystem.EXT4, None, FileSystem.EXT3]


def test_single_values_stand_for_lists_of_one(tmp_path: Path) -> None:
    text = "farm: f\nmasters: {m: {bootstrap: {suite: sid, packages: nginx, mirror: http://x, run: reboot}}}\n"
    listed = load(tmp_path, text + "guests: {g: {master: m, hypervisors: xen}}\n")
    source = listed.masters["m"].source
    assert source == Bootstrap(suite="sid", packages=("nginx",), mirrors=("http://x",), run=("reboot",))


def test_an_empty_list_takes_the_defaults_back(tmp_path: Path) -> None:
    defaults = "{master: debian, network: {bridge: br0, nameservers: [10.0.0.1]}}"
    (nic,) = load_guest(tmp_path, "{network: {address: 10.0.0.9/24, nameservers: []}}", defaults).nics
    assert nic.nameservers == ()


def test_guests_share_bases(tmp_path: Path) -> None:
    guests = "{a: {}, b: {root: 3G}, c: {root: 2G}, d: {root: {allocate: full}}, e: {root: {fs: ext3}}}"
    listed = load_guests(tmp_path, guests)
    assert [base.name for base in listed.bases] == [
        *("debian-ext4-2G", "debian-ext4-3G", "debian-ext4-2G-full", "debian-ext3-2G")
    ]
    assert listed.guests["a"].base is listed.guests["c"].base


def test_a_new_guest_changes_nobody_else(tmp_path: Path) -> None:
    before = load_guests(tmp_path, "{a: {}, c: {}}").guests
    after = load_guests(tmp_path, "{b: {}, c: {}, a: {}}").guests
    assert {name: after[name] for name in before} == before


def test_a_root_disk_that_its_master_fits_into(tmp_path: Path) -> None:
    path = tmp_path / "guests.yaml"
    path.write_text(f"{DEBIAN}guests: {{g: {{master: debian, root: 700M}}}}\n")
    assert (
        guestlist.load(path, {"debian": 700 * MIB, "other": 10 * GIB}, hypervisors=BY_NAME).guests["g"].base.size
        == 700 * MIB
    )


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(tmp_path: Path, enabled: bool) -> None:
    was_enabled = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        guestlist.load(EXAMPLE, hypervisors=BY_NAME)
        assert gc.isenabled() is enabled
        with pytest.raises(ListError):
            load(tmp_path, "")
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()

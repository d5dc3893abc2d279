"""Configurations for Xen, as xl reads them."""

from hypothesis import given

from pipeline.hypervisor import xen
from tests.guests import DOMAIN_UUID, guest
from tests.hypervisor import xlutil
from tests.hypervisor.files import FILES, files_in, folders


def test_what_xl_reads() -> None:
    with xlutil.reading(xen.render(guest(), FILES)) as config:
        settings = {
            name: config.text(name) for name in ("name", "uuid", "type", "memory", "vcpus", "kernel", "ramdisk")
        }
        assert settings == {
            "name": "deb01",
            "uuid": str(DOMAIN_UUID),
            "type": "pv",
            "memory": "512",
            "vcpus": "1",
            "kernel": str(FILES.kernel),
            "ramdisk": str(FILES.ramdisk),
        }
        assert config.text("root") == "/dev/xvda1 ro"
        assert config.list("vif") == ["mac=00:16:3e:00:00:01,bridge=xenbr0"]
        assert config.disks() == {"xvda1": str(FILES.root), "xvda2": str(FILES.swap)}


def test_a_guest_with_nothing_but_a_root_disk() -> None:
    text = xen.render(guest(swap=None), files_in("/srv", swap=False, ramdisk=False))
    with xlutil.reading(text) as config:
        assert config.text("ramdisk") is None
        assert config.disks() == {"xvda1": "/srv/root.img"}


@given(folder=folders())
def test_any_path_is_what_it_was(folder: str) -> None:
    files = files_in(folder)
    with xlutil.reading(xen.render(guest(), files)) as config:
        assert config.text("kernel") == str(files.kernel)
        assert config.disks() == {"xvda1": str(files.root), "xvda2": str(files.swap)}

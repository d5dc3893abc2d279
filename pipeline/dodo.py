"""Guestfarm's tasks, in the order in which a guest comes to be. `doit` runs them, `doit list --all` shows them."""

from pipeline import engine, tasks

site = tasks.load()
DOIT_CONFIG = engine.configuration(site.build)


@tasks.artifacts
def task_master() -> tasks.Tasks:
    """What guests' root file systems start from."""
    yield from tasks.master.tasks(site)


@tasks.artifacts
def task_kernel() -> tasks.Tasks:
    """The kernels and initrds that guests boot."""
    yield from tasks.kernel.tasks(site)


@tasks.artifacts
def task_zero() -> tasks.Tasks:
    """Images of zeros."""
    yield from tasks.base.zeros(site)


@tasks.artifacts
def task_format() -> tasks.Tasks:
    """Empty file systems."""
    yield from tasks.base.formats(site)


@tasks.artifacts
def task_populate() -> tasks.Tasks:
    """Bases: file systems with all of a master's files."""
    yield from tasks.base.populates(site)


@tasks.artifacts
def task_keys() -> tasks.Tasks:
    """Guests' SSH host keys, which are made once and kept in keys/."""
    yield from tasks.host_keys.tasks(site)


@tasks.artifacts
def task_known_hosts() -> tasks.Tasks:
    """All guests' host keys, for those who connect to them."""
    yield from tasks.host_keys.trust(site)


@tasks.artifacts
def task_root() -> tasks.Tasks:
    """Guests' root disks: clones of bases, each with its own identity."""
    yield from tasks.guest.roots(site)


@tasks.artifacts
def task_seed() -> tasks.Tasks:
    """What tells cloud-init in guests who they are."""
    yield from tasks.seed.tasks(site)


@tasks.artifacts
def task_swap() -> tasks.Tasks:
    """Guests' swap disks."""
    yield from tasks.guest.swaps(site)


@tasks.artifacts
def task_disk() -> tasks.Tasks:
    """Guests' other disks; and on request, as disk:NAME:whole, a whole disk of a root disk."""
    yield from tasks.guest.disks(site)
    yield from tasks.single_file.wholes(site)


@tasks.artifacts
def task_header() -> tasks.Tasks:
    """The boot loaders of guests that boot from a disk."""
    yield from tasks.header.tasks(site)


@tasks.artifacts
def task_config() -> tasks.Tasks:
    """Guests' configurations, with the kernel and initrd that they name."""
    yield from tasks.guest.configs(site)


@tasks.artifacts_on_request
def task_vmdk() -> tasks.Tasks:
    """On request: guests' disks as VMDKs in a single file, for VMware to import."""
    yield from tasks.single_file.vmdks(site)

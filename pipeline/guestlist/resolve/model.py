"""Turns a draft without faults into the model: what is left open is defaulted or derived, places are dropped."""

from collections.abc import Callable
from functools import cache

from pipeline.guestlist.keys import disk as disk_keys
from pipeline.guestlist.keys import file as file_keys
from pipeline.guestlist.keys import guest as keys
from pipeline.guestlist.keys import role as role_keys
from pipeline.guestlist.keys import unit as unit_keys
from pipeline.guestlist.keys import user
from pipeline.guestlist.keys import user as user_keys
from pipeline.guestlist.keys import variable as variable_keys
from pipeline.guestlist.keys.hypervisor import DESCRIPTION, FIRMWARE, Hypervisors
from pipeline.guestlist.resolve.draft import FARM, IMAGES, Draft
from pipeline.guestlist.resolve.entries import Listed
from pipeline.model.disk import Allocation, Disk, FileSystem
from pipeline.model.farm import Farm
from pipeline.model.file import Put
from pipeline.model.guest import Guest
from pipeline.model.identity import disk_uuid, domain_uuid, machine_id, root_uuid, swap_uuid
from pipeline.model.master import Base, Image
from pipeline.model.user import User
from pipeline.model.virtualization import HostKernel


def farm(draft: Draft, hypervisors: Hypervisors) -> Farm:
    """The farm that `draft` describes. Needs one that was read and checked without a fault."""
    name = draft.fields[FARM]
    masters = {key: master for key, master in (draft.masters or {}).items() if master}

    @cache  # guests share a base's object, as they will share its image
    def base(master: str, filesystem: FileSystem | None, size: int, allocation: Allocation) -> Base:
        made = masters[master]
        if filesystem is None and not isinstance(made.source, Image):
            filesystem = FileSystem.EXT4
        return Base(master=made, filesystem=filesystem, size=size, allocation=allocation)

    users_of = _users(draft)
    files_of = _files(draft)
    shared = variable_keys.variables(draft.defaults)
    made_roles = {
        key: role_keys.role(key, fields, draft.folder) for key, fields in (draft.roles or {}).items() if fields
    }

    def guest(listed: Listed) -> Guest:
        fields = listed.fields
        return Guest(
            name=listed.name,
            base=base(fields[keys.MASTER], fields[keys.ROOT_FS], fields[keys.ROOT_SIZE], fields[keys.ROOT_ALLOCATE]),
            memory=fields[keys.MEMORY],
            maxmem=fields[keys.MAXMEM] or fields[keys.MEMORY],
            vcpus=fields[keys.VCPUS],
            maxvcpus=fields[keys.MAXVCPUS] or fields[keys.VCPUS],
            swap=fields[keys.SWAP],
            disks=_disks(name, listed),
            nics=tuple(card.nic(name) for card in listed.cards),
            users=users_of(listed),
            roles=tuple(made_roles[key] for key in fields[role_keys.ROLES]),
            files=files_of(listed),
            units=unit_keys.units(fields),
            shared_variables=shared,
            variables=variable_keys.variables(listed.own),
            host_keys=fields[keys.HOST_KEYS],
            hypervisors=fields[keys.HYPERVISORS],
            host_kernel=_host_kernel(listed),
            extra=fields[keys.EXTRA] or "",
            on_poweroff=fields[keys.ON_POWEROFF],
            on_reboot=fields[keys.ON_REBOOT],
            on_crash=fields[keys.ON_CRASH],
            options={key: hypervisor.configure(fields) for key, hypervisor in hypervisors.items()},
            identity=fields[keys.IDENTITY] or masters[fields[keys.MASTER]].identity,
            firmware=fields[FIRMWARE],
            description=fields[DESCRIPTION],
            uuid=domain_uuid(name, listed.name),
            root_uuid=root_uuid(name, listed.name),
            swap_uuid=swap_uuid(name, listed.name),
            machine_id=machine_id(name, listed.name),
            timezone=fields[keys.TIMEZONE],
            locale=fields[keys.LOCALE],
            keyboard=fields[keys.KEYBOARD],
        )

    return Farm(
        name=name,
        images=draft.fields[IMAGES],
        masters=masters,
        guests={listed.name: guest(listed) for entry in draft.entries for listed in entry},
    )


def _users(draft: Draft) -> Callable[[Listed], tuple[User, ...]]:
    """How guests come to their users: those that are given once are made once."""
    made: dict[tuple[int, tuple[str, ...]], tuple[User, ...]] = {}

    def users_of(listed: Listed) -> tuple[User, ...]:
        names = listed.fields[role_keys.ROLES]
        given = id(listed.fields[user_keys.USERS]), names
        if given not in made:
            merged = user.merged(draft.defaults, role_keys.having(names, draft.roles or {}), listed.own)
            made[given] = tuple(user_keys.user(name, fields, draft.folder) for name, fields in merged.items())
        return made[given]

    return users_of


def _files(draft: Draft) -> Callable[[Listed], tuple[Put, ...]]:
    """The same with files."""
    made: dict[int, tuple[Put, ...]] = {}

    def files_of(listed: Listed) -> tuple[Put, ...]:
        given = listed.fields[file_keys.FILES]
        if id(given) not in made:
            made[id(given)] = file_keys.put_files(file_keys.merged(draft.defaults, listed.own), draft.folder)
        return made[id(given)]

    return files_of


def _disks(farm: str, listed: Listed) -> tuple[Disk, ...]:
    given = listed.fields[disk_keys.DISKS] or {}
    return tuple(
        Disk(
            name=name,
            size=fields[disk_keys.SIZE],
            filesystem=fields[disk_keys.FS],
            allocation=fields[disk_keys.ALLOCATE],
            mount=fields[disk_keys.MOUNT],
            label=fields[disk_keys.LABEL],
            uuid=disk_uuid(farm, listed.name, name),
        )
        for name, fields in given.items()
    )


def _host_kernel(listed: Listed) -> HostKernel | None:
    kernel = listed.boot[keys.KERNEL]
    return HostKernel(kernel=kernel, ramdisk=listed.boot[keys.RAMDISK]) if kernel else None

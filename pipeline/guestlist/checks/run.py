"""The rules of the farm as a whole: each guest obeys its own, and no two share a name, an address or a MAC address."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain

from pipeline.errors import quoted
from pipeline.guestlist.checks import cloud_init
from pipeline.guestlist.checks import guest as guest_checks
from pipeline.guestlist.checks import nic as nic_checks
from pipeline.guestlist.checks import unique as sharing
from pipeline.guestlist.checks import user as user_checks
from pipeline.guestlist.keys import file as file_keys
from pipeline.guestlist.keys import role as role_keys
from pipeline.guestlist.keys import unit as unit_keys
from pipeline.guestlist.keys import user
from pipeline.guestlist.keys.file import Walk
from pipeline.guestlist.keys.hypervisor import Hypervisors
from pipeline.guestlist.keys.user import USERS, Read
from pipeline.guestlist.resolve.draft import FARM, Draft
from pipeline.guestlist.resolve.entries import Entry, Listed
from pipeline.guestlist.schema.table import BrokenError, Fields
from pipeline.guestlist.syntax.nodes import Fault, Node, fault, first_at_each_place
from pipeline.model.farm import Farm

Rule = Callable[[Listed], Iterator[Fault]]


def check(
    draft: Draft,
    needs: Mapping[str, int],
    hypervisors: Hypervisors | None,
    read: Read | None = None,
    walk: Walk | None = None,
) -> list[Fault]:
    """Everything that breaks a rule. `needs` has, for masters whose contents are known, the smallest root in bytes.

    `hypervisors` are those that are known, None where there is no telling. `read` reads the files that guests are made
    of, and `walk` the folders; without them, nobody looks into them.
    """
    own_rules: tuple[Rule, ...] = (
        guest_checks.keys_are_given,
        partial(guest_checks.master_is_known, masters=draft.masters),
        partial(guest_checks.hypervisors_are_known, hypervisors=hypervisors),
        partial(guest_checks.hypervisors_can_express_it, hypervisors=hypervisors or {}),
        partial(guest_checks.options_are_of_its_hypervisors, hypervisors=hypervisors or {}),
        guest_checks.limits_are_no_less,
        guest_checks.reboot_goes_with_poweroff,
        nic_checks.network_is_whole,
        nic_checks.cards_are_sound,
        guest_checks.ramdisk_has_kernel,
        partial(guest_checks.root_is_large_enough, needs=needs),
    )
    faults = [each for entry in draft.entries for rule in own_rules for each in _first_breach(rule, entry)]
    entries, same_names = _unique_names(draft.entries)
    faults += first_at_each_place(_users(draft, read))
    faults += first_at_each_place(_files(draft, read, walk))
    faults += first_at_each_place(cloud_init.check(draft.entries, draft.defaults, draft.masters, draft.roles))
    return [
        *faults,
        *same_names,
        *sharing.same_addresses(entries),
        *sharing.overlapping_subnets(entries),
        *sharing.same_macs(entries, _farm_name(draft)),
    ]


def refused(draft: Draft, farm: Farm, hypervisors: Hypervisors) -> list[Fault]:
    """What hypervisors refuse of the `farm` that was built from `draft`."""
    faults: list[Fault] = []
    for entry in draft.entries:
        found = (guest_checks.hypervisors_take_it(guest, farm.guests[guest.name], hypervisors) for guest in entry)
        faults += next(filter(None, map(list, found)), [])
    return [*first_at_each_place(faults)]


def _first_breach(rule: Rule, entry: Entry) -> list[Fault]:
    """What is wrong with the first guest of an entry that breaks `rule`: a range is one mistake, not many."""
    for guest in entry:
        with suppress(BrokenError):
            if faults := list(rule(guest)):
                return faults
    return []


def _users(draft: Draft, read: Read | None) -> Iterator[Fault]:
    """What is wrong with users as they are once the defaults', those of roles and a guest's own are put together."""
    known = draft.roles or {}
    for name, role in known.items():
        with suppress(BrokenError):
            if role is not None:
                found = user_checks.check_files(user.given(role), draft.folder, read)
                yield from (each.under("roles", name, USERS.name) for each in found)
    with suppress(BrokenError):
        if USERS in draft.defaults:
            users = user.merged(draft.defaults, {}, Fields({}))
            found = user_checks.check(users, draft.defaults.node(USERS))
            found = chain(found, user_checks.check_files(user.given(draft.defaults), draft.folder, read))
            yield from (each.under("defaults", USERS.name) for each in found)
    seen: set[tuple[str, ...]] = set()
    for guest in chain.from_iterable(draft.entries):
        with suppress(BrokenError):
            having = role_keys.having(guest.fields[role_keys.ROLES], known)
            with_users = {name: role for name, role in having.items() if USERS in role}
            if USERS in guest.own or (with_users and tuple(with_users) not in seen):  # others have the defaults'
                seen.update([] if USERS in guest.own else [tuple(with_users)])
                yield from user_checks.conflicts(guest.name, with_users, guest.own)
                users = user.merged(draft.defaults, with_users, guest.own)
                node = guest.own.node(USERS) if USERS in guest.own else guest.fields.node(role_keys.ROLES)
                found = user_checks.check(users, node)
                found = chain(found, user_checks.check_files(user.given(guest.own), draft.folder, read))
                yield from (each.under("guests", guest.name, USERS.name) for each in found)


def _files(draft: Draft, read: Read | None, walk: Walk | None) -> Iterator[Fault]:
    """What is wrong with the files of roles, of the defaults and of guests, and with the names of roles."""
    for name, role in (draft.roles or {}).items():
        if role is not None:
            found = [
                *file_keys.check_sources(role, draft.folder, read),
                *role_keys.check_tree(role, draft.folder, walk),
            ]
            found += unit_keys.check(role)
            yield from (each.under("roles", name) for each in found)
    owners: list[tuple[str, tuple[str, ...], Fields]] = [("defaults", (), draft.defaults)]
    owners += [("guests", (guest.name,), guest.own) for entry in draft.entries for guest in entry]
    for kind, owner, given in owners:
        yield from (each.under(kind, *owner) for each in unit_keys.check(given))
        with suppress(BrokenError):
            if role_keys.ROLES in given:
                yield from (each.under(kind, *owner) for each in role_keys.check_known(given, draft.roles))
        with suppress(BrokenError):
            if file_keys.FILES in given:
                yield from (each.under(kind, *owner) for each in file_keys.check_sources(given, draft.folder, read))


def _farm_name(draft: Draft) -> str | None:
    try:
        return draft.fields[FARM]
    except BrokenError:
        return None


def _unique_names(entries: list[Entry]) -> tuple[list[Entry], list[Fault]]:
    """The entries without the guests whose names came before, in any case of letters, and faults for those."""
    first: dict[str, Listed] = {}
    unique: list[Entry] = []
    faults: list[Fault] = []
    for entry in entries:
        again = [guest for guest in entry if first.setdefault(guest.name.lower(), guest) is not guest]
        unique.append([guest for guest in entry if first[guest.name.lower()] is guest] if again else entry)
        for guest in again[:1]:
            other = first[guest.name.lower()]
            message = f"the name is that of guest {quoted(other.name)} in line {other.key.line}"
            hint = "" if guest.name == other.name else "upper and lower case are the same in host names (RFC 4343)"
            faults.append(_fault(guest, guest.key, message, hint))
    return unique, faults


def _fault(guest: Listed, node: Node, message: str, hint: str) -> Fault:
    return fault(node, message, hint, ("guests", guest.name))

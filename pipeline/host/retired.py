"""Guests' folders that are set aside: retired, and removed when nobody wants them any more."""

import secrets
import shutil
from pathlib import Path

from pipeline.host.deploy import set_aside
from pipeline.host.lock import locked
from pipeline.host.offline import check_down
from pipeline.host.store import RETIRED, Aside, Deployed, Store, host_errors
from pipeline.image.files.private import sync_directory
from pipeline.image.files.usage import check_idle


def retire(store: Store, name: str) -> Path:
    """Give the folder of a guest another name, and return that.

    Raises HostError or ImageError unless it is down, and not of another farm.
    """
    store.get(name)  # a lock is for a guest that is there
    with host_errors(store.place(name)), locked(store.folder, name):
        there = store.get(name)
        store.check_own(there)
        check_down(name, there.disks.values(), folder=there.folder)
        return set_aside(store, there, RETIRED)


def remove(store: Store, aside: Aside) -> None:
    """Remove a folder that was set aside, and all that is in it.

    Raises HostError, also if it belongs to another farm, or ImageError if a disk is in use.
    """
    with host_errors(aside.folder), locked(store.folder, aside.guest):
        store.check_own(Deployed(aside.guest, aside.folder))
        for disk in Deployed(aside.guest, aside.folder).disks.values():
            check_idle(disk)
        draft = aside.folder.with_name(f".{aside.guest}.draft-{secrets.token_hex(4)}")
        aside.folder.rename(draft)  # killed from here on, the rest of it is swept by the next deploy
        sync_directory(store.folder)
        shutil.rmtree(draft)

"""seed:G: what tells cloud-init in a guest who it is, where its identity comes by that."""

from functools import partial
from pathlib import Path

from pipeline.engine import Tasks, artifact
from pipeline.errors import MasterError
from pipeline.guestos import nocloud
from pipeline.image.disk import fat
from pipeline.image.disk import nocloud as nocloud_disk
from pipeline.inputs.files import read
from pipeline.model.guest import Guest
from pipeline.model.master import Identity
from pipeline.tasks import host_keys
from pipeline.tasks.guest import SEED
from pipeline.tasks.recorded_inputs import asking, network, users
from pipeline.tasks.site import Site


def tasks(site: Site) -> Tasks:
    """A task for each guest whose identity is cloud-init's: its seed."""
    for guest in site.guests:
        if guest.identity is Identity.CLOUD_INIT:
            public = host_keys.public(site, guest)
            yield artifact(
                guest.name,
                f"{guest.name}'s seed, for cloud-init",
                partial(_build, site, guest),
                guest=guest.name,
                targets=[site.file_of(guest.name, SEED)],
                files=[public] if public else [],
                inputs={
                    "recipe": [nocloud_disk.RECIPE, nocloud.RECIPE],
                    "instance ID": str(guest.uuid),
                    "name": guest.name,
                    "network": [network(nic) for nic in guest.nics],
                    "users": asking(users, guest.users),
                    "host keys": None if guest.host_keys is None else [*guest.host_keys],
                    "time zone": guest.timezone,
                    "locale": guest.locale,
                    "keyboard": guest.keyboard,
                    "dosfstools": fat.version,
                },
            )


def _build(site: Site, guest: Guest) -> None:
    try:
        documents = nocloud.documents(guest, read, host_keys.private(site, guest))
    except MasterError as error:
        raise MasterError(f"guest '{guest.name}': {error.message}", error.hint) from error
    nocloud_disk.build(Path(site.file_of(guest.name, SEED)), documents, volume_id=guest.uuid.fields[0])

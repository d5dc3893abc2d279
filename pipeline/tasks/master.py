"""master:M: what guests' root file systems start from, read through once."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from pipeline import input_file
from pipeline.engine import Inputs, Located, Tasks, artifact
from pipeline.errors import MasterError, Problem, counted
from pipeline.image.disk.base import of_image
from pipeline.image.files.publish import publish, publish_text
from pipeline.image.files.usage import check_unused
from pipeline.image.layer import directory, tar
from pipeline.image.layer.entries import Contents, Digest, Layer
from pipeline.image.sources import cloud, derive, mmdebstrap, oci
from pipeline.model.architecture import GUESTS, runs
from pipeline.model.farm import DriverNeed
from pipeline.model.master import Bootstrap, Cloud, Derived, Directory, Image, Master, Oci, Tar
from pipeline.tasks.site import Site, lineage

_RECIPE = 1
"""Raise it when the same master gets another digest."""

_LONGEST_DIGEST = 1 << 24
"""Bytes of a file that we have written."""


@dataclass(frozen=True, slots=True)
class _Making:
    """How the files of one kind of master come to be."""

    doc: str
    build: Callable[[], None]
    inputs: Inputs
    made: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()


def tasks(site: Site) -> Tasks:
    """A task for each master that a guest starts from."""
    for master in site.masters:
        making = _making(site, master, _limit(site, master))
        yield artifact(
            master.name,
            making.doc,
            making.build,
            targets=[*making.made, site.digest(master)],
            files=making.files,
            inputs={"recipe": _RECIPE, **making.inputs},
        )


def contents(path: Path) -> Contents:
    """What a master holds, out of its digest file at `path`. Raises MasterError if that is damaged."""
    try:
        found = Contents(**json.loads(input_file.read(path, _LONGEST_DIGEST)))
        return found if found.drivers is None else replace(found, drivers=tuple(found.drivers))
    except (OSError, ValueError, TypeError) as error:
        raise MasterError(f"{path} is damaged", f"remove it: doit forget master:{path.parent.name}") from error


def room(site: Site, master: Master) -> int:
    """The bytes that a root disk for the master has at the very least, as far as that is known already."""
    try:
        return contents(site.digest(master)).room
    except MasterError:  # then its task makes it again, or says what is wrong with it
        return 0


def warnings(site: Site, notes: Iterable[Problem | DriverNeed]) -> Iterator[Problem]:
    """Those of `notes` that hold, now that it is known of some masters what they have: one for each hypervisor."""

    @cache
    def drivers(name: str) -> Collection[str] | None:
        try:
            return contents(site.digest_of(name)).drivers
        except MasterError:
            return None

    told: dict[tuple[str, str], Problem] = {}
    for note in notes:
        if isinstance(note, Problem):
            yield note
        elif (known := drivers(note.master)) is not None and note.drivers.isdisjoint(known):
            told.setdefault((note.master, note.hypervisor), note.problem)
    yield from told.values()


def _limit(site: Site, master: Master) -> int:
    """The bytes of the largest root disk that starts from the master."""
    return max(base.size for base in site.bases if master in lineage(base.master))


def _making(site: Site, master: Master, limit: int) -> _Making:  # noqa: PLR0911  # one for each kind of master
    rootfs, target = site.rootfs(master), site.digest(master)
    match master.source:
        case Bootstrap() as source:
            packages = mmdebstrap.Packages(
                suite=source.suite,
                variant=source.variant,
                include=source.packages,
                components=source.components,
                mirrors=source.mirrors,
                keyring=source.keyring,
                customize=source.run,
            )
            return _Making(
                f"master {master.name}: Debian {source.suite} and {len(source.packages)} packages",
                partial(_from_packages, packages, rootfs, target),
                {
                    "packages": _plain(packages),
                    "bootstrap recipe": mmdebstrap.RECIPE,
                    "mmdebstrap": mmdebstrap.version,
                },
                made=(rootfs,),
                files=(source.keyring,) if source.keyring else (),
            )
        case Tar(path=path):
            doc = f"master {master.name}: the tar file {path}"
            return _Making(doc, partial(_from_tar, path, target, limit), {"tar": Located(path)}, files=(path,))
        case Directory(path=path):
            return _Making(
                f"master {master.name}: the folder {path}",
                partial(_from_directory, path, rootfs, target, limit),
                {"directory": Located(path), "contents": partial(directory.fingerprint, path)},
                made=(rootfs,),
            )
        case Image(path=path):
            doc = f"master {master.name}: the image {path}"
            return _Making(doc, partial(_from_image, path, target), {"image": Located(path)}, files=(path,))
        case Oci(path=path, tag=tag):
            layout = oci.Layout(path, tag)
            return _Making(
                f"master {master.name}: the OCI image {path}" + (f" {tag}" if tag else ""),
                partial(_from_oci, layout, rootfs, target, limit),
                {
                    "layout": Located(path),
                    "tag": tag,
                    "manifest": partial(oci.fingerprint, layout),
                    "OCI recipe": oci.RECIPE,
                },
                made=(rootfs,),
            )
        case Cloud(path=path):
            return _Making(
                f"master {master.name}: the root of the disk {path}",
                partial(_from_cloud, path, rootfs, target, limit),
                {"disk": Located(path), "cloud recipe": cloud.RECIPE},
                made=(rootfs,),
                files=(path,),
            )
        case Derived(parent=parent) as derived:
            changes = derive.Changes(packages=derived.packages, run=derived.run)
            return _Making(
                f"master {master.name}: {parent.name} and {counted(len(derived.packages), 'package')}",
                partial(_from_parent, site, parent, changes, rootfs, target),
                {
                    "parent": parent.name,
                    "changes": _plain(changes),
                    "derive recipe": derive.RECIPE,
                    "mmdebstrap": mmdebstrap.version,
                },
                made=(rootfs,),
                files=(site.digest(parent),),
            )


def _from_packages(packages: mmdebstrap.Packages, rootfs: Path, target: Path) -> None:
    if packages.keyring:
        try:
            input_file.check(packages.keyring)  # apt would wait for the other end of a FIFO
        except OSError as error:
            raise MasterError(f"{packages.keyring}: {error.strerror}") from error
    with publish(rootfs) as draft:
        mmdebstrap.build(packages, draft)
    _from_tar(rootfs, target)


def _from_tar(rootfs: Path, target: Path, limit: int | None = None) -> None:
    _publish(target, Digest().read(tar.entries(rootfs, limit)))


def _from_directory(folder: Path, rootfs: Path, target: Path, limit: int) -> None:
    seen = Digest()
    with publish(rootfs) as draft, draft.open("r+b") as file:
        tar.write(seen.watch(directory.entries(folder, limit)), file)
    _publish(target, seen.contents())


def _from_oci(layout: oci.Layout, rootfs: Path, target: Path, limit: int) -> None:
    _from_opened(partial(oci.opened, layout, limit=limit), rootfs, target)


def _from_cloud(disk: Path, rootfs: Path, target: Path, limit: int) -> None:
    check_unused(disk)
    _from_opened(partial(cloud.opened, disk, limit=limit), rootfs, target)


def _from_opened(opened: Callable[[Path], AbstractContextManager[Layer]], rootfs: Path, target: Path) -> None:
    seen = Digest()
    with publish(rootfs) as draft, opened(draft) as files, draft.open("r+b") as file:
        tar.write(seen.watch(files), file)
    _publish(target, seen.contents())


def _from_parent(site: Site, parent: Master, changes: derive.Changes, rootfs: Path, target: Path) -> None:
    with publish(rootfs) as draft:
        derive.build(tar.entries(site.rootfs(parent)), contents(site.digest(parent)), changes, draft)
    _from_tar(rootfs, target)


def _from_image(image: Path, target: Path) -> None:
    check_unused(image)
    _publish(target, of_image(image))


def _publish(target: Path, found: Contents) -> None:
    if not runs(GUESTS, found.machine):
        raise MasterError(
            f"master '{target.parent.name}': "
            f"its programs are for {found.machine}, and guests are {GUESTS.programs} machines",
            f"take the {GUESTS.name} build of it",
        )
    publish_text(target, json.dumps(asdict(found)) + "\n")


def _plain(packages: mmdebstrap.Packages | derive.Changes) -> dict[str, Any]:
    plain = {name: value for name, value in json.loads(json.dumps(asdict(packages), default=str)).items() if value}
    return {**plain, "keyring": Located(plain["keyring"])} if "keyring" in plain else plain

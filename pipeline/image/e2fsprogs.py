"""The e2fsprogs: mke2fs, e2fsck, resize2fs and tune2fs on image files, with the same result on every host."""

from importlib import resources
from pathlib import Path
from uuid import UUID

from pipeline import process
from pipeline.errors import ImageError
from pipeline.image.layer import EPOCH

RECIPE = 1
"""Raise it when the same settings give another file system: what was made by an older recipe is stale."""

_ENVIRONMENT = {
    "SOURCE_DATE_EPOCH": str(EPOCH),  # from e2fsprogs 1.47.1 on
    "E2FSPROGS_FAKE_TIME": str(EPOCH),  # before, and debugfs(8)
    "E2FSCK_TIME": str(EPOCH),  # the time of the last check
    "E2FSCK_CONFIG": "/dev/null",  # not the host's e2fsck.conf(5)
}


def format(image: Path, filesystem: str, uuid: UUID, *, label: str | None = None, allocated: bool = False) -> None:
    """Make an empty ext2, ext3 or ext4 `filesystem` that fills `image`, with `uuid` as UUID and as hash seed.

    With `allocated`, no space that the image has is given back. Raises ProcessError.
    """
    # The journal is lazy in writing zeros only: they are there already, and clones need not copy them.
    extended = [f"hash_seed={uuid}", "root_owner=0:0", "lazy_journal_init=1"]
    # Without `nodiscard`, mke2fs punches holes into an allocated image; and what it cannot discard it must zero.
    extended += ["nodiscard", "lazy_itable_init=0"] if allocated else []
    named = [] if label is None else ["-L", label]
    with resources.as_file(resources.files("pipeline.image") / "mke2fs.conf") as configuration:
        process.run(
            ["mke2fs", "-q", "-F", "-t", filesystem, "-U", str(uuid), *named, "-E", ",".join(extended), image],
            environment={**_ENVIRONMENT, "MKE2FS_CONFIG": str(configuration)},
        )


def index(image: Path) -> None:
    """Make the directories of `image` compact and, where they are large, indexed. Raises ProcessError.

    A file system that is not in order is an error, and so is a disk that fails: with -y, e2fsck would ignore both.
    """
    process.run(["e2fsck", "-f", "-p", "-D", image], environment=_ENVIRONMENT)


def check(image: Path) -> None:
    """Check all of the file system in `image` without changing it. Raises ImageError if anything is wrong with it."""
    completed = process.run(["e2fsck", "-f", "-n", image], codes=range(16), environment=_ENVIRONMENT)
    if completed.code != 0:
        found = [line for line in completed.stdout.splitlines() if line and not line.startswith("Pass ")]
        raise ImageError(
            "\n  ".join([f"{image}: the file system has errors:", *found[:10]]), f"repair it with: e2fsck -f {image}"
        )


def grow(image: Path) -> None:
    """Make the clean file system in `image` fill it. Raises ProcessError, also where it would have to shrink."""
    process.run(["resize2fs", image], environment=_ENVIRONMENT)


def change_uuid(image: Path, uuid: UUID) -> None:
    """Give the file system in `image` another UUID, with every checksum that depends on it. Raises ProcessError."""
    process.run(["tune2fs", "-U", str(uuid), image], environment=_ENVIRONMENT)


def keep_checksum_seed(image: Path) -> None:
    """Have all checksums of the file system in `image` stay what they are when its UUID changes. Raises ProcessError.

    That is the feature metadata_csum_seed, which Linux knows since 4.4.
    """
    process.run(["tune2fs", "-O", "metadata_csum_seed", image], environment=_ENVIRONMENT)


def version() -> str:
    """The version of the e2fsprogs, as "mke2fs 1.47.0 (5-Feb-2023)"."""
    return process.version("mke2fs", "-V")

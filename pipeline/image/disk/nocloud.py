"""Seeds: small disks that tell cloud-init who its guest is, as its data source NoCloud reads them.

"The data source NoCloud" in cloud-init's documentation: a FAT file system with the label cidata, and in it the files
meta-data and user-data, and network-config. Guests only read it.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ImageError
from pipeline.image.disk import fat
from pipeline.image.files import private
from pipeline.image.files.publish import SECRET, publish
from pipeline.image.layer.entries import EPOCH
from pipeline.model.sizes import MIB, approximate_size

RECIPE = 1
"""Raise it when the same documents give another seed: what was made by an older recipe is stale."""

SIZE = MIB
"""Bytes; the documents of a guest with a hundred users take a tenth of them."""

_LABEL = "cidata"  # in lower case, for cloud-init from before 19.4
_ROOM = SIZE - SIZE // 16
"""What the file system leaves for files, at least."""


def build(target: Path, documents: Mapping[str, str], volume_id: int) -> None:
    """Make a seed with these `documents` by their file names; it can be read by its owner alone.

    Raises ImageError, also where dosfstools or mtools are missing, or ProcessError.
    """
    fat.check_programs("a guest with identity: cloud-init")
    files = {name: text.encode() for name, text in documents.items()}
    size = sum(map(len, files.values()))
    if size > _ROOM:
        raise ImageError(
            f"{target}: what cloud-init is to know takes {approximate_size(size)}, "
            f"and a seed has room for {approximate_size(_ROOM)}",
            "give its users fewer keys",
        )
    with publish(target, mode=SECRET, room=SIZE) as draft:
        fat.create(draft, SIZE, _LABEL, volume_id)
        for name, data in files.items():
            _put(draft, name, data)


def _put(draft: Path, name: str, data: bytes) -> None:
    # Under a draft's name, so that what a killed run leaves behind, which has secrets in it, is swept away.
    file = draft.with_name(f"{draft.name}-{name}")
    try:
        private.create(file)
        file.write_bytes(data)
        os.utime(file, (EPOCH, EPOCH))
        fat.copy(draft, file, f"/{name}")
    finally:
        file.unlink(missing_ok=True)

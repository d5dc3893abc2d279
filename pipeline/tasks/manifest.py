"""Manifests: for each guest, what its artifacts are and what they were made from, so that both can be verified."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import GuestfarmError
from pipeline.image.files.publish import publish_text

NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a manifest says of one file."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Artifact":
        """What there is to say of the file at `path`; its holes count as zeros, as for sha256sum."""
        with path.open("rb") as file:
            return cls(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


def write(folder: Path, artifacts: Mapping[Path, Artifact], made_from: Mapping[str, Any]) -> None:
    """Publish the manifest of the guest whose artifacts are in `folder`."""
    contents = {
        "artifacts": {
            path.name: {"size": artifact.size, "sha256": artifact.sha256} for path, artifact in artifacts.items()
        },
        "made from": made_from,
    }
    publish_text(folder / NAME, json.dumps(contents, indent=2, sort_keys=True) + "\n")


def read(folder: Path) -> dict[Path, Artifact]:
    """What the manifest in `folder` says of each file. Raises GuestfarmError if there is none, or it is damaged."""
    path = folder / NAME
    try:
        artifacts = json.loads(path.read_text())["artifacts"]
        return {folder / name: Artifact(**artifact) for name, artifact in artifacts.items()}
    except FileNotFoundError:
        raise GuestfarmError(f"{folder.name}: no manifest", f"make one with: doit manifest {folder.name}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GuestfarmError(f"{path} is damaged", f"make it anew with: doit manifest {folder.name}") from error

"""Receipts: what was deployed to a guest's folder in the image store, and from which build."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import HostError
from pipeline.image.publish import PUBLIC, publish_text

NAME = "deployed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What is on record of a deployed guest."""

    deployed: str
    """The moment at which its disks were deployed: UTC, by ISO 8601."""
    modules: str | None
    """The digest of the master whose files are on the root disk, with the modules for its kernels."""
    disks: Mapping[str, Mapping[str, str]]
    """For each disk's file name what it was made from: the digest of each input by the input's name."""
    files: Mapping[str, str]
    """The SHA-256 of each other file by name, as it was deployed."""

    def write(self, folder: Path) -> None:
        """Put it into the guest's folder. Raises ImageError."""
        publish_text(folder / NAME, json.dumps(asdict(self), indent=2) + "\n", mode=PUBLIC)

    @classmethod
    def read(cls, folder: Path) -> "Receipt | None":
        """The one in `folder`, if there is one. Raises HostError if it is damaged."""
        path = folder / NAME
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                deployed=str(fields["deployed"]),
                modules=fields["modules"],
                disks={name: dict(inputs) for name, inputs in fields["disks"].items()},
                files=dict(fields["files"]),
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostError(f"{path}: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise HostError(f"{path} is damaged", f"without it, {folder.name} counts as made by hand") from error


def digest(value: object) -> str:
    """A short digest of a JSON value, to tell whether it is the same later without giving it away."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

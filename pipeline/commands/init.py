"""`doit init`: the files of a new farm, in a folder of its own."""

import os
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pipeline.commands.base_command import BaseCommand
from pipeline.engine import may_end_early, user_errors
from pipeline.errors import GuestfarmError
from pipeline.image.files.publish import publish_new_text

_DODO: Final = '''\
"""The tasks of this farm: doit builds what guests.yaml lists."""

from pipeline.dodo import *  # noqa: F403  # doit finds tasks by their names here
'''
_IGNORED: Final = """\
/build/
/keys/
"""


class Init(BaseCommand):
    """Writes dodo.py, guests.yaml and .gitignore."""

    name = "init"
    doc_purpose = "write dodo.py, guests.yaml and .gitignore for a new farm"
    doc_usage = "[FOLDER]"
    doc_description = "Writes them to FOLDER, or where you are. Files that are there stay as they are."
    cmd_options = ()

    def execute(self, _opt_values: dict[str, Any], pos_args: Sequence[str]) -> int:
        """Write what is missing, and say what to do next."""
        with may_end_early(), user_errors():
            if len(pos_args) > 1:
                raise GuestfarmError(f"doit init takes one folder, not {len(pos_args)}", "as in: doit init farm")
            folder = Path(*pos_args)
            if folder.exists() and not folder.is_dir():
                raise GuestfarmError(f"{folder}: not a folder")
            for name, text in _files().items():
                print(_write(folder / name, text))
            there = f"cd {shlex.quote(str(folder))} && " if pos_args else ""
            print(f"edit {folder / 'guests.yaml'}, then: {there}doit")
        return 0


def _files() -> dict[str, str]:
    """The files of a new farm, by name."""
    example = files("pipeline.commands").joinpath("guests.yaml").read_text(encoding="utf-8")
    return {"guests.yaml": example, "dodo.py": _DODO, ".gitignore": _IGNORED}


def _write(file: Path, text: str) -> str:
    try:
        publish_new_text(file, text)
    except OSError as error:
        if isinstance(error, FileExistsError) and os.path.lexists(file):
            return f"{file}: is there already"
        raise GuestfarmError(f"{error.filename or file}: {error.strerror}") from error
    return f"{file}: written"

"""Host keys that a guest gets again in each run: what is made of them can be compared.

Only standard modules and Guestfarm's are imported: sitecustomize does it before doit starts.
"""

import os
from pathlib import Path

from pipeline.inputs import host_keys, openssh_keys

FOLDER = "REMEMBERED_KEYS"
"""The variable that says where they are remembered."""

SITECUSTOMIZE = "from tests.faults import remembered_keys\nremembered_keys.install()\n"


def install() -> None:
    """Have this process make keys of each guest and kind once, and then remember them."""
    folder = Path(os.environ[FOLDER])
    complete, generate = host_keys._complete, openssh_keys.generate

    def complete_with_remembered(keys: Path, guest: str, kind: str) -> None:
        def remembered(kind: str) -> str:
            file = folder / f"{guest}.{kind}"
            if not file.exists():
                draft = folder / f"{guest}.{kind}.{os.getpid()}"
                draft.write_text(generate(kind))
                draft.rename(file)
            return file.read_text()

        openssh_keys.generate = remembered
        complete(keys, guest, kind)

    host_keys._complete = complete_with_remembered

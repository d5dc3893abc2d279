"""doit runs, each in its own process.

A new interpreter takes 0.4 s of CPU to load doit and Guestfarm, most of what a run of a tiny farm takes. So runs are
forked from a process that has loaded both. Each is a real process: it has its own exit code, signals and workers.
"""

import atexit
import json
import multiprocessing
import os
import pkgutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from tempfile import TemporaryDirectory
from threading import Thread

import pipeline

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        *("__main__", __name__, "doit.doit_cmd", "jinja2", "rich.progress"),
        *(f"cryptography.hazmat.primitives.{name}" for name in ("serialization", "asymmetric.ec", "asymmetric.rsa")),
        *(
            module.name
            for module in pkgutil.walk_packages(pipeline.__path__, "pipeline.")
            if module.name != "pipeline.dodo"  # which reads the list where it is imported
        ),
    ]
)


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    """Its exit code, or minus the number of the signal that killed it."""
    output: str
    """Its standard output and standard error."""


def run(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    prepare: Callable[[], None] | None = None,
) -> Ended:
    """Run `doit ARGUMENTS` in `folder`, in a fork of a process that has loaded Guestfarm.

    `prepare`, a function of a module, runs in the fork first.
    """
    ours, its = _forks.Pipe(duplex=False)
    process = _start(arguments, folder, environment, {1: its, 2: its}, prepare)
    try:
        with os.fdopen(os.dup(ours.fileno()), encoding="utf-8") as output:
            text = output.read()  # ends when the last process that may write has ended
        process.join()
    finally:
        process.kill()
        ours.close()
    assert process.exitcode is not None
    return Ended(process.exitcode, text)


def install(folder: Path) -> None:
    """Put a program `doit` into `folder` that runs doit in such a fork, for shells."""
    script = folder / "doit"
    script.write_text(_CLIENT.format(python=sys.executable, address=_address()))
    script.chmod(0o755)


def run_afresh(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Ended:
    """Run `doit ARGUMENTS` in `folder`, in a new interpreter: needed where variables decide what is loaded."""
    completed = subprocess.run(
        [sys.executable, "-m", "doit", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Ended(completed.returncode, completed.stdout)


# Hands its arguments, its place and its open files to the process that runs the tests.
_CLIENT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"\\n"], [0, 1, 2])
    server.sendall(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    code = int(server.recv(100))
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


class _Handler(StreamRequestHandler):
    def handle(self) -> None:
        """Run what a client wants."""
        _, received, _, _ = socket.recv_fds(self.request, 1, 3)
        files = {number: Connection(descriptor) for number, descriptor in enumerate(received)}
        arguments, folder, environment = json.load(self.rfile)
        process = _start(arguments, Path(folder), environment, files)
        process.join()
        self.wfile.write(str(process.exitcode).encode())


class _Server(ThreadingUnixStreamServer):
    daemon_threads = True


@cache
def _address() -> str:
    """Where the server listens that runs doit for clients, until this process ends."""
    folder = TemporaryDirectory(prefix="doit-")
    server = _Server(f"{folder.name}/socket", _Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    atexit.register(folder.cleanup)
    atexit.register(server.server_close)
    return str(server.server_address)


def _start(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    files: Mapping[int, Connection],
    prepare: Callable[[], None] | None = None,
) -> BaseProcess:
    process = _forks.Process(target=_doit, args=([*arguments], folder, dict(environment), dict(files), prepare))
    process.start()
    for file in {*files.values()}:
        file.close()
    return process


def _doit(
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
    files: dict[int, Connection],
    prepare: Callable[[], None] | None,
) -> None:
    for number, file in files.items():
        os.dup2(file.fileno(), number)
    for file in {*files.values()}:
        file.close()
    if 0 in files:
        sys.stdin = os.fdopen(0, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = str(folder)  # as `python -m` has it
    sys.argv = ["doit", *arguments]
    if prepare is not None:
        prepare()

    from doit.__main__ import main

    main()

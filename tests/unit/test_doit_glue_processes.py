"""A run and its workers end together."""

import multiprocessing
import signal
import subprocess
import sys
import time

import pytest

from pipeline.doit_glue import processes


def test_workers_end_with_what_ends_early() -> None:
    worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))

    def starting() -> None:
        with processes.together():
            worker.start()
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        starting()
    worker.join(60)
    assert worker.exitcode == -signal.SIGTERM


# Forks, and is killed before the fork has asked to end with it.
KILLED_WHILE_FORKING = """
import os, signal
from pipeline.doit_glue import processes
parent = os.getpid()
def wait_until_it_is_gone():
    while os.getppid() == parent:
        os.sched_yield()
os.register_at_fork(after_in_child=wait_until_it_is_gone)
processes.prepare()
if os.fork():
    os.kill(parent, signal.SIGKILL)
else:
    print("still here", flush=True)
"""


def test_a_worker_ends_with_a_run_that_was_killed_while_it_started() -> None:
    argv = [sys.executable, "-c", KILLED_WHILE_FORKING]
    ended = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "")

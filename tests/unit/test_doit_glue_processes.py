"""A run and its workers end together."""

import multiprocessing
import signal
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

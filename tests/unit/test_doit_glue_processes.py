"""A run and its workers end together."""

import multiprocessing
import signal
import time

import pytest

from pipeline.doit_glue import processes


def test_workers_end_with_what_ends_early() -> None:
    worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    with pytest.raises(BrokenPipeError), processes.together():
        worker.start()
        raise BrokenPipeError
    worker.join(60)
    assert worker.exitcode == -signal.SIGTERM

"""A run and its workers end together."""

import multiprocessing
import signal
import subprocess
import sys
import time

import pytest

from pipeline.engine.run import processes

pytestmark = pytest.mark.unit

PREPARED = """
import multiprocessing, os, signal, threading, time
from multiprocessing import queues, util
from doit import runner
from pipeline.engine.run import processes
processes.prepare()
def endless():
    while True:  # it hears of every signal; a call that waits may miss one that comes just before
        pass
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run a program that is prepared to have workers; it ends, and all that it starts with it."""
    return subprocess.run([sys.executable, "-c", PREPARED + code], capture_output=True, text=True, check=False)


def test_workers_end_with_what_ends_early() -> None:
    worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))

    def starting() -> None:
        with processes.together():
            worker.start()
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        starting()
    assert worker.exitcode == -signal.SIGTERM


# A worker is told to end while it starts the thread that is to say what it has to say.
TOLD_WHILE_STARTING = """
finalize = queues.Finalize
def last_step(*arguments, **options):
    if queues.Queue._finalize_close in arguments:
        os.kill(os.getpid(), signal.SIGTERM)
    return finalize(*arguments, **options)
queues.Finalize = last_step
worker = runner.Process(target=lambda: queues.Queue(ctx=multiprocessing.get_context()).put(1))
worker.start()
worker.join()
print(worker.exitcode)
"""


def test_workers_end_that_are_told_while_they_start() -> None:
    ended = run(TOLD_WHILE_STARTING)
    assert (ended.stdout, ended.stderr) == ("143\n", "")


# A worker has more to say than a pipe takes, and nobody listens: it waits, as it ends, for somebody who does.
UNHEARD = """
processes._PATIENCE = 1
queue = multiprocessing.Queue()
started = multiprocessing.Event()
def work():
    queue.put("x" * 1_000_000)
    started.set()
with processes.together():
    runner.Process(target=work).start()
    started.wait()
    raise SystemExit(5)
"""


def test_workers_that_nobody_listens_to_end_as_well() -> None:
    ended = run(UNHEARD)
    assert (ended.returncode, ended.stderr) == (5, "")


# Runs until it hears of Ctrl-C, which all processes in the foreground get, and tells what became of its worker.
INTERRUPTED = """
os.setpgid(0, 0)
started = multiprocessing.Event()
def work():
    try:
        started.set()
        endless()
    except BaseException as error:
        print("worker:", repr(error), flush=True)
        raise
try:
    with processes.together():
        runner.Process(target=work).start()
        started.wait()
        os.killpg(0, signal.SIGINT)
        endless()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_ends_workers_once() -> None:
    ended = run(INTERRUPTED)
    assert (ended.stdout, ended.stderr) == ("worker: SystemExit(143)\ninterrupted\n", "")


# Is killed before the worker that it starts has asked to end with it.
KILLED_WHILE_STARTING = """
run = os.getpid()
def wait_until_it_is_gone(_):
    while os.getppid() == run:
        os.sched_yield()
util.register_after_fork(processes, wait_until_it_is_gone)
runner.Process(target=lambda: print("still here", flush=True)).start()
os.kill(run, signal.SIGKILL)
"""


def test_a_worker_ends_with_a_run_that_was_killed_while_it_started() -> None:
    ended = run(KILLED_WHILE_STARTING)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "")


# A signal comes while a worker is being started, before it can be of any use to it.
TOLD_TOO_SOON = """
util.register_after_fork(processes, lambda _: os.kill(os.getpid(), signal.SIGTERM))
worker = runner.Process(target=lambda: print("still here", flush=True))
worker.start()
worker.join()
print(worker.exitcode)
"""


def test_a_worker_that_is_told_before_it_has_begun_does_not_begin() -> None:
    ended = run(TOLD_TOO_SOON)
    assert (ended.stdout, ended.stderr) == ("143\n", "")


# Ctrl-C comes to another thread, which nothing keeps from it, while a worker is being started.
INTERRUPTED_WHILE_STARTING = """
starting = threading.Event()
def tell():
    starting.wait()
    signal.raise_signal(signal.SIGINT)
    told.set()
told = threading.Event()
threading.Thread(target=tell).start()
def tell_the_other_one():
    starting.set()
    told.wait()
os.register_at_fork(before=tell_the_other_one)
try:
    runner.Process(target=lambda: print("begun", flush=True)).start()
except KeyboardInterrupt:
    [worker] = multiprocessing.active_children()
    worker.join()
    print("interrupted")
"""


def test_ctrl_c_is_not_lost_while_a_worker_starts() -> None:
    ended = run(INTERRUPTED_WHILE_STARTING)
    assert (ended.stdout, ended.stderr) == ("begun\ninterrupted\n", "")


# Ctrl-C comes as soon as the lock is taken of the queue by which workers get their tasks.
INTERRUPTED_WHILE_TELLING = """
class Interrupted(threading.Condition):
    def __enter__(self):
        entered = super().__enter__()
        if not workers_told:
            workers_told.append(signal.raise_signal(signal.SIGINT))
        return entered
workers_told = []
queue = runner.MRunner.Queue()
queue._notempty = Interrupted(threading.Lock())
try:
    queue.put("a task")
except KeyboardInterrupt:
    print(queue.get())
"""


def test_ctrl_c_leaves_no_queue_locked() -> None:
    ended = run(INTERRUPTED_WHILE_TELLING)
    assert (ended.stdout, ended.stderr) == ("a task\n", "")

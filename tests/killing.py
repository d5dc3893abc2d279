"""Runs that are killed at the n-th of the calls by which they, and the programs they start, change a folder.

Or, in a single run: copies of the folder as it was at each of these calls, which is what a kill there would leave.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.machine import PATH, need_programs, run

# Loaded before the C library. It counts each call by one byte in a file, and ends the run before the n-th is made.
_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char below[PATH_MAX];
static long at, whole_run;

static int note(const char *name, int flags) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", getenv("KILLING"), name);
    return syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

static long number(const char *name) {
    char text[32] = "";
    int fd = note(name, O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof text - 1) < 0) _exit(99);
    close(fd);
    return atol(text);
}

static void event(const char *path) {
    if (!getenv("KILLING") || !path) return;
    if (!*below) {
        int fd = note("below", O_RDONLY);
        if (fd < 0 || read(fd, below, sizeof below - 1) <= 0) _exit(99);
        close(fd);
        at = number("at");
        whole_run = number("pid");
    }
    if (strncmp(path, below, strlen(below))) return;
    int fd = note("count", O_WRONLY | O_CREAT | O_APPEND);
    struct stat status;
    if (fd < 0 || syscall(SYS_write, fd, ".", 1) != 1 || fstat(fd, &status)) _exit(99);
    close(fd);
    if (at < 0) {
        char copy[PATH_MAX];
        snprintf(copy, sizeof copy, "%s/copies/%ld", getenv("KILLING"), (long)status.st_size);
        char *argv[] = {"cp", "-a", below, copy, 0}, *environment[] = {"PATH=/usr/bin:/bin", 0};
        pid_t pid;
        int code;
        if (posix_spawnp(&pid, "cp", 0, 0, argv, environment) || waitpid(pid, &code, 0) != pid || code) _exit(98);
    }
    if (status.st_size == at) {
        kill(whole_run, SIGKILL);
        kill(getpid(), SIGKILL);
    }
}

static void event_of(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    event(path);
}

#define CALL(type, name, parameters, arguments, noted) \
    type name parameters { \
        static type (*real) parameters; \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        noted; \
        return real arguments; \
    }

CALL(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), event_of(fd))
CALL(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t to), (fd, data, size, to), event_of(fd))
CALL(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t to), (fd, data, size, to), event_of(fd))
CALL(ssize_t, writev, (int fd, const struct iovec *data, int count), (fd, data, count), event_of(fd))
CALL(ssize_t, sendfile, (int to, int fd, off_t *from, size_t size), (to, fd, from, size), event_of(to))
CALL(ssize_t, sendfile64, (int to, int fd, off64_t *from, size_t size), (to, fd, from, size), event_of(to))
CALL(int, ftruncate, (int fd, off_t size), (fd, size), event_of(fd))
CALL(int, ftruncate64, (int fd, off64_t size), (fd, size), event_of(fd))
CALL(int, truncate, (const char *path, off_t size), (path, size), event(path))
CALL(int, truncate64, (const char *path, off64_t size), (path, size), event(path))
CALL(int, fallocate, (int fd, int how, off_t from, off_t size), (fd, how, from, size), event_of(fd))
CALL(int, fallocate64, (int fd, int how, off64_t from, off64_t size), (fd, how, from, size), event_of(fd))
CALL(int, posix_fallocate, (int fd, off_t from, off_t size), (fd, from, size), event_of(fd))
CALL(int, posix_fallocate64, (int fd, off64_t from, off64_t size), (fd, from, size), event_of(fd))
CALL(int, fsync, (int fd), (fd), event_of(fd))
CALL(int, fdatasync, (int fd), (fd), event_of(fd))
CALL(int, rename, (const char *from, const char *to), (from, to), event(to))
CALL(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), event(to))
CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), event(path))
CALL(int, unlink, (const char *path), (path), event(path))
CALL(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags), event_of(fd))
CALL(int, rmdir, (const char *path), (path), event(path))
CALL(int, fchmod, (int fd, mode_t mode), (fd, mode), event_of(fd))
"""


@dataclass(frozen=True)
class Killing:
    """Where runs are killed from; `folder` has the shim and its counter."""

    folder: Path

    @classmethod
    def prepare(cls, folder: Path) -> "Killing":
        """Make the shim. Its programs get it by way of setpriv, which all of ours are started by."""
        need_programs("cc")
        folder.mkdir()
        (folder / "shim.c").write_text(_SHIM)
        run("cc", "-shared", "-fPIC", "-O1", "-o", folder / "shim.so", folder / "shim.c", "-ldl")
        (folder / "bin").mkdir()
        setpriv = folder / "bin/setpriv"
        setpriv.write_text(
            f"#!/bin/sh\nexport LD_PRELOAD={folder}/shim.so KILLING={folder}\n"
            f'exec {shutil.which("setpriv", path=PATH)} "$@"\n'
        )
        setpriv.chmod(0o755)
        return cls(folder)

    @property
    def copies(self) -> list[Path]:
        """What was at `below` before each call of the last run, in their order."""
        return sorted((self.folder / "copies").iterdir(), key=lambda path: int(path.name))

    def run(self, *argv: str | Path, below: Path, at: int = 0) -> "Run":
        """Run a program that is killed at its call `at`, counted from 1, to change what is at `below` or beneath it.

        It comes to its end if it does not make so many. With -1, it does so, too, and `copies` are made.
        """
        (self.folder / "below").write_text(str(below))
        (self.folder / "at").write_text(str(at))
        count = self.folder / "count"
        count.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "copies", ignore_errors=True)
        (self.folder / "copies").mkdir()
        completed = subprocess.run(
            ["/bin/sh", "-c", 'echo $$ >"$0/pid"; LD_PRELOAD="$0/shim.so" KILLING="$0" exec "$@"', self.folder, *argv],
            cwd=below,
            env={**os.environ, "PATH": f"{self.folder}/bin:{PATH}", "LIBVIRT_DEFAULT_URI": "test:///default"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Run(completed.returncode, completed.stdout, count.stat().st_size if count.exists() else 0)


@dataclass(frozen=True)
class Run:
    """How a run ended."""

    code: int
    output: str
    calls: int
    """How many calls it made; the one that it was killed at counts."""

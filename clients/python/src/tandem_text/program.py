"""A server as a child of this process: started when it is needed, started again when it died, gone with its owner."""

from __future__ import annotations

import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import Optional

from .connection import Deadline
from .errors import TandemError, Unavailable

__all__ = ["Program"]

#: The longest path of a Unix socket.
_LONGEST_PATH = 107
#: How much of its log an error tells.
_TOLD = 2000
#: So many starts within so many seconds, and the program is given up.
_STARTS = 5
_STARTS_S = 60.0


class Program:
    """A server on a Unix socket that no other user can reach, for this process alone.

    `command` is the program and the flags of its `serve`, such as `["tandem", "--models", "models"]`. A small script
    stands between the two: it ends the server when this process is gone, also when it was killed.
    """

    def __init__(self, command: Sequence[str]) -> None:
        if isinstance(command, str) or not command:
            raise ValueError("program must be a list: the program, then flags of its serve")
        self._folder = tempfile.mkdtemp(prefix="tandem-")
        self._socket = os.path.join(self._folder, "door")
        if len(self._socket.encode()) > _LONGEST_PATH:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ValueError(f"{self._socket} is longer than {_LONGEST_PATH} bytes: name a shorter TMPDIR")
        name, flags = os.fspath(command[0]), list(map(os.fspath, command[1:]))
        self._command = [name, "serve", *flags, "--grpc-addr", self.target, "--no-http"]
        self._lock = threading.Lock()
        self._process: Optional[subprocess.Popen[bytes]] = None
        #: When it was started, of late.
        self._starts: list[float] = []
        self._closed = False

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"unix:{self._socket}"

    @property
    def pid(self) -> Optional[int]:
        """The server's process; None if there is none."""
        try:
            with open(os.path.join(self._folder, "pid"), encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    def ensure(self, deadline: Deadline) -> None:
        """Returns once it listens, which it does when its models are loaded; starts it if it does not run."""
        with self._lock:
            if self._closed:
                raise Unavailable("the program was closed")
            if self._process is None or self._process.poll() is not None:
                self._start()
            while not os.path.exists(self._socket):
                self._check()
                if deadline.left() == 0:
                    raise Unavailable(f"{self._command[0]} does not listen yet{self._log()}")
                time.sleep(0.02)

    def _start(self) -> None:
        now = time.monotonic()
        self._starts = [at for at in self._starts if now - at < _STARTS_S]
        if len(self._starts) >= _STARTS:
            raise ProgramFailed(f"{self._command[0]} ended {_STARTS} times in {_STARTS_S:.0f} s{self._log()}")
        self._starts.append(now)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        for name in ("door", "pid"):
            if os.path.lexists(os.path.join(self._folder, name)):
                os.unlink(os.path.join(self._folder, name))
        script = pkgutil.get_data(__package__, "_child.py")
        if script is None:
            raise ProgramFailed("the package has no _child.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", script.decode(), str(os.getpid()), self._folder, *self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            # Not the signals of a terminal: the end of standard input says when.
            start_new_session=True,
        )

    def _check(self) -> None:
        """An error if it has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise ProgramFailed(f"{self._command[0]} ended with {self._process.returncode}{self._log()}")

    def _log(self) -> str:
        try:
            with open(os.path.join(self._folder, "log"), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TOLD))
                told = file.read().decode(errors="replace").strip()
        except OSError:
            return ""
        return f": {told}" if told else ""

    def close(self) -> None:
        """Ends it."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
            if process is not None:
                if process.stdin is not None:
                    process.stdin.close()
                process.wait()
            shutil.rmtree(self._folder, ignore_errors=True)


class ProgramFailed(TandemError):
    """The program could not be started, or ended again and again: nothing that another try would change."""

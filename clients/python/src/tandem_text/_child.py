"""Runs a program that ends when its owner does, however the owner ends. Started by `program.py` as a script of its own,
by its text: it imports nothing of this package.

The owner holds the other end of our standard input. Once that is closed, or the owner is no more our parent, the
program is stopped and the folder removed. Should this script be killed, Linux kills the program (PR_SET_PDEATHSIG): it
can, since this script has one thread. In the owner, whose threads come and go, the signal would come at the end of a
thread.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from typing import NoReturn, Optional

_PR_SET_PDEATHSIG = 1
#: How often the program and the parent are looked at. The end of standard input is seen at once.
_LOOK_S = 0.2
#: How long the program may take to end by itself.
_GRACE_S = 5.0


def _die_with_parent(parent: int) -> None:
    """In the program's process, before it is the program."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _watch(program: "subprocess.Popen[bytes]", owner: int) -> Optional[int]:
    """The program's exit code when it has ended; None when the owner has."""
    while os.getppid() == owner:
        code = program.poll()
        if code is not None:
            return code
        # Nobody writes there: it is ready at its end alone.
        if select.select([sys.stdin], [], [], _LOOK_S)[0]:
            return None
    return None


def _stop(program: "subprocess.Popen[bytes]") -> None:
    program.terminate()
    try:
        program.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def main(owner: int, folder: str, command: "list[str]") -> NoReturn:
    """Runs the command, with its output in `folder/log`, until it ends or the owner does."""
    # As if the owner had ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    own = os.getpid()
    with open(os.path.join(folder, "log"), "wb") as log:
        try:
            program = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: _die_with_parent(own),
            )
        except OSError as error:
            log.write(str(error).encode())
            sys.exit(1)
    with open(os.path.join(folder, "pid"), "w", encoding="ascii") as file:
        file.write(str(program.pid))
    code = None
    try:
        code = _watch(program, owner)
    finally:
        if code is None:
            _stop(program)
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if code is None else abs(code))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])

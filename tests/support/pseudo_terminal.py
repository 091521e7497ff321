"""A command run in a terminal of a given width, as a person has it; Unix only."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

LINES = 40


def in_a_terminal(*arguments: object, columns: int = 80, environment: dict[str, str] | None = None):
    """Exit status, and all that `ophis` with these arguments shows, control codes included."""
    own, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    plain = {name: text for name, text in os.environ.items() if name not in _TERMINAL}
    process = subprocess.Popen(
        [sys.executable, "-m", "ophis", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=plain | {"TERM": "xterm-256color"} | (environment or {}),
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(own, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(own)
    return process.wait(), shown.decode()


_TERMINAL = ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "TERM", "TTY_COMPATIBLE")

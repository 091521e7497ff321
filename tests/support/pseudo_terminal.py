"""Command in a pseudo-terminal of a given width; Unix only."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

LINES = 40


def in_a_terminal(*arguments: object, columns: int = 80, environment: dict[str, str] | None = None):
    """Run `ophis`; return its exit status and output, control codes included."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    plain = {name: text for name, text in os.environ.items() if name not in _TERMINAL}
    process = subprocess.Popen(
        [sys.executable, "-m", "ophis", *map(str, arguments)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=plain | {"TERM": "xterm-256color"} | (environment or {}),
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            chunk = os.read(controller, 65536)
        except OSError:  # raised by Linux when the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(controller)
    return process.wait(), shown.decode()


_TERMINAL = ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "TERM", "TTY_COMPATIBLE")

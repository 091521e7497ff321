"""What the service takes on at once, and how long it waits for anybody."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ophis.errors import InputError
from ophis.images import MOST_BYTES


@dataclass(frozen=True)
class Limits:
    """Bounds of the service.

    Attributes:
        workers: questions answered at once: each is a thread that decodes photos and runs the
            network.
        waiting: further questions that are received or wait; one more is told to come again.
        photos: of one snake.
        request_bytes: of a whole request: the photos together, and the form around them.
        held_bytes: of all requests that are received, wait or are answered.
        stall_seconds: without a byte, after which an upload is given up.
        upload_seconds: for a whole upload.
        grace_seconds: that those in flight have after the service was asked to stop.
    """

    workers: int = 2
    waiting: int = 16
    photos: int = 8
    request_bytes: int = MOST_BYTES + 2**16
    held_bytes: int = 8 * MOST_BYTES
    stall_seconds: float = 20
    upload_seconds: float = 300
    grace_seconds: float = 60

    def __post_init__(self) -> None:
        for field in fields(self):
            least = 0 if field.name == "waiting" else 1
            if field.type == "int" and (number := getattr(self, field.name)) < least:
                raise InputError(f"{field.name} = {number} should be {least} or more")

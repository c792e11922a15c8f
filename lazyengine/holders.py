"""Who holds a task while it is worked on, and whether they still live."""

import os
import socket
from datetime import UTC, datetime

LEASE_SECONDS = 60.0
"""How long a task that a process of another machine holds is believed to be worked on, if it is not heard of.

It is heard of three times as often."""


def this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(holder: str, until: datetime | None) -> bool:
    """Tell whether who holds a task has died: a process of this machine, or one that was not heard of in time."""
    host, _, pid = holder.rpartition(":")
    if until is not None and until <= datetime.now(UTC):  # who lives renews it; a new process may have an old number
        return True
    is_here = host == socket.gethostname() and pid.isdecimal()
    return not _is_alive(int(pid)) if is_here else until is None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

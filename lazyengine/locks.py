"""Locks of flow details in TaskFlow's persistence backends, between threads and between processes.

No lock outlives its process.  A server keeps its locks itself; beside files lies a file that is locked, for an SQLite
database one for all, since it has one writer, in a directory one for each flow detail.  The operating system locks it
(`flock`): TaskFlow's own file locks (fasteners) are those of a whole process, hold between its threads nothing apart,
and wait by polling.
"""

import fcntl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from taskflow.persistence.backends.impl_dir import DirBackend
from taskflow.persistence.backends.impl_memory import MemoryBackend
from taskflow.persistence.backends.impl_sqlalchemy import SQLAlchemyBackend
from taskflow.persistence.base import Backend

from lazyengine import errors
from lazyengine.db.locks import SERVERS, AdvisoryLocks

_of_this_process: "WeakKeyDictionary[Backend, Any]" = WeakKeyDictionary()
_guard = Lock()


class Locks(Protocol):
    """The locks of a backend."""

    def __call__(self, execution: str) -> AbstractContextManager[Any]:
        """Hold the lock of a flow detail.

        :param execution: its uuid
        :raises ExecutionNotFound: there is none, if that shows already
        """

    def schema(self) -> AbstractContextManager[Any]:
        """Hold the lock of the place where flow details are kept, to make it ready."""


def locks_of(backend: Backend) -> Locks:
    """Return the locks of the flow details of a backend.

    :raises ValueError: there are none for backends of this kind
    """
    if isinstance(backend, DirBackend):
        return _DirectoryLocks(backend)
    if isinstance(backend, MemoryBackend):
        return _ThreadLocks(backend)
    if isinstance(backend, SQLAlchemyBackend):
        url = backend.engine.url
        if url.get_backend_name() in SERVERS:
            return AdvisoryLocks(backend.engine)
        if url.get_backend_name() == "sqlite":
            in_memory = url.database in (None, "", ":memory:")
            return _ThreadLocks(backend) if in_memory else _SQLiteLocks(Path(str(url.database)))
    raise ValueError(f"flow details of {type(backend).__name__} cannot be locked between processes")


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made where there is none."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # a child that was forked meanwhile has the file open too


class _ThreadLocks:
    """What only one process sees has one lock, however many ask for it."""

    def __init__(self, backend: Backend) -> None:
        with _guard:
            self.lock = _of_this_process.setdefault(backend, Lock())

    def __call__(self, execution: str) -> AbstractContextManager[Any]:
        return self.schema()

    def schema(self) -> AbstractContextManager[Any]:
        lock: AbstractContextManager[Any] = self.lock
        return lock


class _SQLiteLocks:
    def __init__(self, database: Path) -> None:
        self.path = Path(f"{database.resolve()}.lock")

    def __call__(self, execution: str) -> AbstractContextManager[Any]:
        return self.schema()

    def schema(self) -> AbstractContextManager[Any]:
        return lock_file(self.path)


class _DirectoryLocks:
    """The file is beside the flow detail, and deleted with it."""

    def __init__(self, backend: DirBackend) -> None:
        self.backend = backend

    @contextmanager
    def __call__(self, execution: str) -> Iterator[None]:
        """
        :raises ExecutionNotFound: there is no such flow detail
        """
        place = Path(self.backend.path, "flow_details", execution)
        if not (place / "metadata").exists():
            raise errors.ExecutionNotFound(execution_id=execution)
        with lock_file(place / "lazyengine.lock"):
            self.backend.file_cache.clear()  # it is as old as the clock of the file system is coarse
            yield

    def schema(self) -> AbstractContextManager[Any]:
        return nullcontext()

"""Claims: workers fetch tasks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lazyengine.api import answers, requests
from lazyengine.api.executions import DATABASE
from lazyengine.api.operation import operation
from lazyengine.api.request import Request
from lazyengine.api.waiting import Waiting
from lazyengine.callbacks import Callbacks
from lazyengine.records import Assignment, Claim
from lazyengine.watching import Wanted

if TYPE_CHECKING:
    from lazyengine.engine import Engine


@dataclass(frozen=True, slots=True)
class Claimed:
    """The tasks that are the worker's now."""

    entries: tuple[Assignment, ...]


class Claims:
    """The controller of claims."""

    def __init__(self, engine: "Engine", waiting: Waiting, callbacks: Callbacks) -> None:
        self._engine = engine
        self._waiting = waiting
        self._callbacks = callbacks

    @operation("POST", "/tasks/claim", answers.Claimed, body=requests.ClaimRequest, errors=DATABASE)
    def claim_tasks(self, request: Request, body: requests.ClaimRequest) -> Claimed:
        """Claim tasks that are ready, or wait for a first one.

        Each is leased to the worker: a heartbeat extends the lease, its end gives the task to somebody else.
        """
        claim = claim_of(body)
        wanted = Wanted(request.owner, claim.targets, claim.actions)
        tasks = self._waiting.until(
            body.wait_seconds, wanted, lambda: self._engine.claim_tasks(request.owner, claim), bool
        )
        return Claimed(self._callbacks.offer(request.owner, tasks))


def claim_of(body: requests.ClaimRequest) -> Claim:
    """Make the engine's wish of a body."""
    return Claim(
        worker=body.worker,
        targets=tuple(body.targets),
        actions=None if body.actions is None else tuple(body.actions),
        limit=body.limit,
        lease_seconds=body.lease_seconds,
        key=body.claim_key,
    )

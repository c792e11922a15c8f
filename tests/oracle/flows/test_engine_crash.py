"""The engine `lazy` dies at some write to TaskFlow's storage; another one comes to an end from what is there."""

from contextlib import suppress
from unittest import mock

from taskflow.exceptions import InvalidState, StorageFailure, WrappedFailure
from taskflow.persistence.backends import impl_memory
from taskflow.storage import Storage
from taskflow.utils import persistence_utils

from lazyengine.taskflow_engine import LazyEngine
from tests.oracle.flows.random_flows import Broken, RandomFlow

WRONG = (Broken, InvalidState, StorageFailure, WrappedFailure)
ENDS = {"SUCCESS", "REVERTED", "FAILURE"}


class Killed(BaseException):
    """The process is gone."""


def die_at(write):
    """Let the storage end the process at one of its writes, counted from 0."""
    writes, save = iter(range(write)), Storage._with_connection

    def dying(self, *args, **kwargs):
        if next(writes, None) is None:
            raise Killed
        return save(self, *args, **kwargs)

    return mock.patch.object(Storage, "_with_connection", dying)


def crash(seed, write):
    """Return whether it died, and the engine that has gone on."""
    flow, _ = RandomFlow(seed).build()
    backend = impl_memory.MemoryBackend({})
    detail = persistence_utils.create_flow_detail(flow, backend=backend)
    died = False
    with die_at(write), suppress(*WRONG):
        try:
            LazyEngine(flow, detail, backend, {}).run()
        except Killed:
            died = True
    engine = LazyEngine(flow, detail, backend, {})
    if died:
        with suppress(*WRONG):
            engine.run()
    return died, engine


def test_whatever_write_it_dies_at():
    crashes = 0
    for seed in range(60):
        for write in range(4 + seed % 5, 300, 5):
            died, engine = crash(seed, write)
            if not died:
                break
            crashes += 1
            names = [atom.name for atom in engine._runtime.iterate_nodes(("task", "retry"))]
            states = {state for state, _ in engine.storage.get_atoms_states(names).values()}
            assert engine.storage.get_flow_state() in ENDS, (seed, write)
            assert not states & {"RUNNING", "REVERTING", "RETRYING"}, (seed, write, states)
    assert crashes > 200

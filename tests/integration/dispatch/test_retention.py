"""`retention_seconds`: a dispatcher deletes what ended long enough ago, all the time."""

from dataclasses import replace

from dispatching import dispatching, eventually
from driving import OWNER, done, started

from lazyengine import errors
from lazyengine.engine import Engine
from lazyengine.records import Notify
from lazyengine.settings import Settings

ONE = {"a": None}


def is_gone(engine: Engine, id: str) -> bool:
    try:
        engine.get_execution(OWNER, id)
    except errors.ExecutionNotFound:
        return True
    return False


def ended(engine: Engine, *notify: Notify) -> str:
    id = started(engine, ONE, notify=notify)
    done(engine, id, "a")
    return id


def test_what_ended_goes_and_goes_on_going(engine: Engine, settings: Settings) -> None:
    """On every database: before it began, and after; what runs stays, and what somebody is still to be told of."""
    before, running, untold = ended(engine), started(engine, ONE), ended(engine, Notify("http://127.0.0.1:1/"))
    with dispatching(replace(settings, retention_seconds=0.5)):
        eventually(lambda: is_gone(engine, before))
        after = ended(engine)
        eventually(lambda: is_gone(engine, after))
        assert not is_gone(engine, running)
        assert not is_gone(engine, untold)


def test_nothing_goes_before_its_time_or_where_none_is_set(engine: Engine, settings: Settings) -> None:
    """0, which is the default, keeps all; so does an hour."""
    id = ended(engine)
    for seconds in (0.0, 3600.0):
        with dispatching(replace(settings, retention_seconds=seconds)) as dispatcher:
            names = [lane.thread.name for lane in dispatcher.lanes]
            assert ("lane of retention" in names) is (seconds > 0)
            eventually(lambda: dispatcher.look() is False)
    assert not is_gone(engine, id)

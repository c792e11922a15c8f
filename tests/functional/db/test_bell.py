"""The bell wakes who waits, across what stands for two processes, and losing it costs a moment only."""

import threading
import time

from sqlalchemy import text

from lazyengine.db.bell import LONGEST_PAUSE_SECONDS, connect
from lazyengine.db.database import Database
from lazyengine.settings import Settings


def wait_for_ring(database: Database, ready: threading.Event) -> float:
    """Return when a waiting one looked again."""
    with database.bell.listener() as listener:
        listener.wait(0.1)  # begins to hear
        ready.set()
        listener.wait(5.0)
        return time.monotonic()


def ring_from(ringer: Database, hearer: Database) -> float:
    """Return how many seconds it took until a ring was heard."""
    ready, woken = threading.Event(), []
    thread = threading.Thread(target=lambda: woken.append(wait_for_ring(hearer, ready)))
    thread.start()
    ready.wait(10)
    time.sleep(0.05)
    rung_at = time.monotonic()
    ringer.ring()
    thread.join(10)
    return woken[0] - rung_at


def test_it_is_heard_in_its_own_process(database: Database) -> None:
    assert ring_from(database, database) < 1.0


def test_another_process_hears_it_or_looks_by_itself(database: Database, settings: Settings) -> None:
    other = Database(settings)
    try:
        assert ring_from(other, database) < LONGEST_PAUSE_SECONDS + 1.0
    finally:
        other.dispose()


def test_a_broken_connection_is_no_error_and_is_made_anew(database: Database) -> None:
    if database.dialect != "postgresql":
        database.ring()
        return
    with database.bell.listener() as listener:
        listener.wait(0.1)
        database.ring()
        with database.engine.connect() as connection:
            own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            connection.execute(text(f"{kill} AND pid <> {own}"))
        database.ring()
        began = time.monotonic()
        listener.wait(5.0)
        listener.wait(5.0)
        listener.wait(0.1)
    assert time.monotonic() - began < 2.0
    assert ring_from(database, database) < 1.0


def test_who_waits_on_postgresql_holds_a_connection_outside_the_pool(database: Database) -> None:
    if database.dialect != "postgresql":
        return
    connection = connect(database)
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    connection.close()

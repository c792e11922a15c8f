"""What somebody costs who asks for the metrics: a few steps into indexes, with 50,000 tasks around them."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from neighbours import LONG_AGO, add_neighbours, emptied
from observed import analyze, observed, whole_table_reads
from sqlalchemy import update

from lazyengine.db.backlog import MOST
from lazyengine.db.database import Database
from lazyengine.db.tables import mark
from lazyengine.engine import Engine
from lazyengine.settings import Settings


@pytest.fixture(scope="module")
def crowded(database_url: str) -> Iterator[Engine]:
    """An engine over 40,000 tasks that have ended, and 10,000 on offer."""
    settings = Settings(database_url=database_url)
    database = emptied(Database(settings))
    add_neighbours(database, 5_000, 10, target="ended", state="SUCCESS", attempt=1)
    with database.engine.begin() as connection:
        waits = update(mark).where(mark.c.node_id > 7).values(target="waits", state="RUNNING", offered_at=LONG_AGO)
        connection.execute(waits)
    analyze(database)
    yield Engine(database, settings, clock=lambda: LONG_AGO + timedelta(days=1))
    database.dispose()


def test_no_table_is_read_whole(crowded: Engine) -> None:
    """Where an index holds only what waits, the ended target is not even met; counting has an end."""
    with observed(crowded.database) as statements:
        backlog = crowded.backlog()
    assert backlog.offers["waits"].count == MOST
    assert backlog.offers.get("ended", backlog.leases).count == 0
    assert len(statements) <= 14
    assert {one.sql: reads for one in statements if (reads := _reads(crowded, one))} == {}


def _reads(engine: Engine, statement) -> list[str]:
    small = {"Seq Scan on outbox", "ALL on outbox", "SCAN anon_1", "ALL on <derived2>"}  # empty; what was just counted
    return [read for read in whole_table_reads(engine.database, statement) if read not in small]

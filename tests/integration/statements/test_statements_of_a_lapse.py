"""What the end of a lease costs, and a look at what is due: a few statements, each by an index, whatever is around."""

import pytest
from driving import OWNER, Clock, started
from neighbours import LONG_AGO, add_neighbours, emptied
from observed import analyze, observed, whole_table_reads

from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Claim
from lazyengine.settings import Settings

NEIGHBOURS, TASKS_EACH = 2_000, 10
SMALL_TABLES = {"Seq Scan on graph", "ALL on graph", "index on graph", "Seq Scan on node", "ALL on node"}


@pytest.mark.parametrize("tasks", [1, 50])
def test_the_end_of_a_lease(database_url: str, tasks: int) -> None:
    """Two looks, for alarms and for leases; then the header, the lease, the node and its marks, and the save."""
    database = emptied(Database(Settings(database_url=database_url)))
    add_neighbours(database, NEIGHBOURS, TASKS_EACH, target="others", state="RUNNING", attempt=1, offered_at=LONG_AGO)
    clock = Clock()
    engine = Engine(database, database.settings, clock)
    id = started(engine, {f"t{n}": {"target": "mine"} for n in range(tasks)})
    engine.claim_tasks(OWNER, Claim("w", ("mine",), limit=1))
    analyze(database)
    clock.advance(60)
    with observed(database) as statements:
        assert engine.fire_due() == 1
    assert len(statements) <= 2 + 8, [one.sql for one in statements]
    reads = {one.sql: found for one in statements if (found := set(whole_table_reads(database, one)) - SMALL_TABLES)}
    assert reads == {}
    with observed(database) as statements:
        assert engine.next_due() is None
    assert len(statements) == 2
    reads = {one.sql: found for one in statements if (found := set(whole_table_reads(database, one)) - SMALL_TABLES)}
    assert reads == {}
    assert engine.get_task(OWNER, id, "t0").execution_id == id
    database.dispose()

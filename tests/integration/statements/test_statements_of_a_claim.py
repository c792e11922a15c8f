"""What a claim costs: a handful of statements by an index, with 50,000 tasks of other targets on offer around it."""

from collections.abc import Iterator

import pytest
from driving import OWNER, start
from neighbours import LONG_AGO, add_neighbours, emptied
from observed import analyze, observed, rows_read, whole_table_reads

from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Claim
from lazyengine.settings import Settings

EXECUTIONS, TASKS_EACH = 5_000, 10
WANTED = 30


@pytest.fixture(scope="module")
def crowded(database_url: str) -> Iterator[Engine]:
    """An engine over 50,000 tasks on offer to others and a few for the claims of the test."""
    settings = Settings(database_url=database_url)
    database = emptied(Database(settings))
    add_neighbours(database, EXECUTIONS, TASKS_EACH, target="others", state="RUNNING", attempt=1, offered_at=LONG_AGO)
    engine = Engine(database, settings)
    for _ in range(3):
        start(engine, {f"t{n}": {"target": "mine", "action": "x.y"} for n in range(WANTED)})
    analyze(database)
    yield engine
    database.dispose()


@pytest.mark.parametrize(
    ("claim", "most"),
    [
        (Claim("w", ("mine",), limit=1), 5),
        (Claim("w", ("mine", "nobody's"), ("x.y", "x.z"), limit=WANTED), 6),
        (Claim("w", ("mine",), limit=10, key="k"), 7),
        (Claim("w", ("mine",), limit=10, key="k"), 4),
        (Claim("w", ("nobody's",), limit=10), 1),
        (Claim("w", ("nobody's",), limit=10, key="none"), 2),
    ],
    ids=["one", "many", "with a key", "the key again", "nothing there", "nothing there, with a key"],
)
def test_a_claim_reads_only_what_it_takes(crowded: Engine, claim: Claim, most: int) -> None:
    """Look without a lock, find, take, read its execution and node: each by an index, whatever others are offered.

    A key is looked for twice; of several targets, the oldest is found before it is locked.
    """
    with observed(crowded.database) as statements:
        got = crowded.claim_tasks(OWNER, claim)
    assert len(got) == (0 if claim.targets == ("nobody's",) else claim.limit)
    locks = crowded.database.dialect != "sqlite" and claim.key is not None and claim.targets == ("mine",)
    is_fresh = claim.key is None or most == 7
    looks_first = crowded.database.dialect == "mysql" and len(claim.targets) == 1 and is_fresh  # to lock what it takes
    assert len(statements) <= most + locks + looks_first
    reads = {one.sql: found for one in statements if (found := set(_reads(crowded.database, one)))}
    assert reads == {}


@pytest.mark.backends("postgresql")
def test_a_claim_of_two_targets_reads_as_little(crowded: Engine) -> None:
    """Not all of what is on offer to both: 50,000 tasks."""
    before = rows_read(crowded.database)
    assert len(crowded.claim_tasks(OWNER, Claim("w", ("mine", "others"), limit=10))) == 10
    assert rows_read(crowded.database) - before < 3_000


def _reads(database: Database, statement) -> list[str]:
    """Two graphs and a few nodes may be read whole, and so may the few offers that are the oldest of their target."""
    small = {"Seq Scan on graph", "ALL on graph", "Seq Scan on node", "ALL on node"}
    found = (read for read in whole_table_reads(database, statement) if read not in small)
    return [read for read in found if not read.startswith(("ALL on <derived", "SCAN anon_"))]

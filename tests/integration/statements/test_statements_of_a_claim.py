"""What a claim costs: a handful of statements by an index, with 50,000 tasks of other targets on offer around it."""

from collections.abc import Iterator

import pytest
from driving import OWNER, start
from neighbours import LONG_AGO, add_neighbours, emptied
from observed import analyze, observed, whole_table_reads

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
        (Claim("w", ("mine",), limit=1), 4),
        (Claim("w", ("mine", "nobody's"), ("x.y", "x.z"), limit=WANTED), 4),
        (Claim("w", ("mine",), limit=10, key="k"), 6),
        (Claim("w", ("mine",), limit=10, key="k"), 3),
        (Claim("w", ("nobody's",), limit=10), 1),
        (Claim("w", ("nobody's",), limit=10, key="none"), 2),
    ],
    ids=["one", "many", "with a key", "the key again", "nothing there", "nothing there, with a key"],
)
def test_a_claim_reads_only_what_it_takes(crowded: Engine, claim: Claim, most: int) -> None:
    """Look without a lock, find, take, read (and twice for the key): each by an index, whatever others are offered."""
    with observed(crowded.database) as statements:
        got = crowded.claim_tasks(OWNER, claim)
    assert len(got) == (0 if claim.targets == ("nobody's",) else claim.limit)
    locks = crowded.database.dialect != "sqlite" and claim.key is not None and claim.targets == ("mine",)
    looks_first = crowded.database.dialect == "mysql"  # so that it locks only what it takes
    assert len(statements) <= most + locks + looks_first
    reads = {one.sql: found for one in statements if (found := set(_reads(crowded.database, one)))}
    assert reads == {}


def _reads(database: Database, statement) -> list[str]:
    small = {"Seq Scan on graph", "ALL on graph", "Seq Scan on node", "ALL on node"}  # two graphs, a few nodes
    return [read for read in whole_table_reads(database, statement) if read not in small]

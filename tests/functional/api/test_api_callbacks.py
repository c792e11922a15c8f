"""Callback URLs: they report on one attempt of one task, with no other credential, and can do nothing else."""

import logging
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from checked_app import CheckedApp

from lazyengine.api.app import make_app
from lazyengine.callbacks import Callbacks
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.errors import CallbackExpired, CallbackInvalid
from lazyengine.records import Assignment, Heartbeat
from lazyengine.settings import Settings

CHAIN = {"version": "2.0", "w": {"tasks": {"a": {"on-success": "b"}, "b": {}}}}
ITEMS = {"version": "2.0", "w": {"tasks": {"many": {"with-items": "i in [1, 2]", "action": "x.y"}}}}
AUTH = {"Authorization": "Bearer secret"}
DONE = {"state": "SUCCESS", "result": 7}


@pytest.fixture
def guarded(engine: Engine, settings: Settings) -> CheckedApp:
    """The API where others need a token."""
    values = {"database_url": settings.database_url, "auth_tokens": "alice:secret"}
    return CheckedApp(make_app(engine, Settings(**values, public_url="https://engine.example/x/")))


def path_of(url: str) -> str:
    return "/callbacks/" + urlsplit(url).path.rpartition("/")[2]


def test_a_worker_with_only_the_url_works_on_a_task_and_completes_it(guarded: CheckedApp) -> None:
    started = guarded.post_json("/executions", {"definition": CHAIN}, headers=AUTH).json
    url = started["scheduled"][0]["callback_url"]
    assert url.startswith("https://engine.example/x/callbacks/")
    beat = guarded.put_json(path_of(url), {"state": "RUNNING", "progress": 0.5, "lease_seconds": 60}).json
    assert (beat["task"]["progress"], beat["task"]["callback_url"]) == (0.5, url)
    done = guarded.put_json(path_of(url), DONE).json
    assert (done["task"]["state"], done["task"]["result"], done["task"]["callback_url"]) == ("SUCCESS", 7, None)
    assert (done["scheduled"], done["execution"]["output"]) == ([], None), "what follows is none of its business"
    assert guarded.put_json(path_of(url), DONE).json["replayed"] is True
    tasks = guarded.get(f"/executions/{started['id']}/tasks", headers=AUTH).json["tasks"]
    assert [(task["name"], task["state"]) for task in tasks] == [("a", "SUCCESS"), ("b", "RUNNING")]
    assert tasks[0]["callback_url"] is None
    last = guarded.put_json(path_of(tasks[1]["callback_url"]), DONE).json
    assert (last["execution"]["state"], last["execution"]["output"]) == ("SUCCESS", None)


@pytest.mark.backends("sqlite")
def test_every_way_to_hear_of_an_attempt_tells_the_same_url(api: CheckedApp, start) -> None:
    id_ = start(ITEMS)
    claimed = api.post_json("/tasks/claim", {"worker": "w", "limit": 9}).json["tasks"]
    assert len({one["callback_url"] for one in claimed}) == 2
    for item, one in enumerate(claimed):
        shown = api.get(f"/executions/{id_}/tasks/many?item={item}").json
        assert shown["callback_url"] == one["callback_url"]
    assert api.get(f"/executions/{id_}/tasks/many").json["callback_url"] is None, "items are reported on one by one"
    assert api.put_json(path_of(claimed[1]["callback_url"]), DONE).json["task"]["state"] == "SUCCESS"
    assert api.get(f"/executions/{id_}/tasks/many").json["items"]["done"] == 1


@pytest.mark.backends("sqlite")
def test_what_is_wrong_has_its_code(guarded: CheckedApp, engine: Engine, settings: Settings) -> None:
    started = guarded.post_json("/executions", {"definition": CHAIN}, headers=AUTH).json
    path = path_of(started["scheduled"][0]["callback_url"])

    def refused(path: str, status: int, body: dict = DONE) -> str:
        return str(guarded.put_json(path, body, status=status).json["code"])

    at = range(len("/callbacks/"), len(path))
    altered = [path[:i] + other + path[i + 1 :] for i in at for other in "AB-" if other != path[i]]
    others = ["/callbacks/x", "/callbacks/%C3%A9", "/callbacks/a.b", "/callbacks/" + "x" * 3000]
    assert {refused(one, 403) for one in altered + others} == {"callback.invalid"}
    assert refused(path, 400, {**DONE, "attempt": 2}) == "request.invalid"
    guarded.get(path, status=405)
    assert guarded.put_json("/executions/" + started["id"] + "/tasks/a", DONE, status=401).json["code"]
    url = "/executions/" + started["id"]
    guarded.put_json(url + "/tasks/a", {"state": "FAILURE"}, headers=AUTH)
    guarded.post_json(url + "/rerun", {"task": "a"}, headers=AUTH)
    assert refused(path, 409) == "task.stale_attempt"
    assert refused(path, 409, {"state": "RUNNING"}) == "task.stale_attempt"
    events = guarded.get(url + "/events", headers=AUTH).json["events"]
    assert [(event["state"], event["late"]["result"]) for event in events if event["kind"] == "late_result"] == [
        ("SUCCESS", 7)
    ]
    guarded.delete(url + "?force=true", headers=AUTH)
    assert refused(path, 404) == "execution.not_found"


@pytest.mark.parametrize("said", [DONE, {"state": "RUNNING", "lease_seconds": 60}])
def test_a_url_does_not_outlive_its_execution(guarded: CheckedApp, said: dict) -> None:
    """On every database: who has the id next is not meant, and neither hears nor keeps anything of it."""
    wish = {"definition": CHAIN, "id": "5f0c7a3e-0000-4000-8000-00000000000a"}
    old = guarded.post_json("/executions", wish, headers=AUTH).json["scheduled"][0]["callback_url"]
    url = f"/executions/{wish['id']}"
    guarded.delete(url + "?force=true", headers=AUTH)
    new = guarded.post_json("/executions", wish, headers=AUTH).json["scheduled"][0]["callback_url"]
    assert guarded.put_json(path_of(old), said, status=403).json["code"] == "callback.outlived"
    guarded.put_json(url + "/tasks/a", {"state": "FAILURE"}, headers=AUTH)
    guarded.post_json(url + "/rerun", {"task": "a"}, headers=AUTH)
    assert guarded.put_json(path_of(old), said, status=403).json["code"] == "callback.outlived"
    events = guarded.get(url + "/events", headers=AUTH).json["events"]
    assert [event for event in events if event["kind"] == "late_result"] == []
    assert guarded.put_json(path_of(new), said, status=409).json["code"] == "task.stale_attempt"
    task = guarded.get(url + "/tasks/a", headers=AUTH).json
    (listed, _) = guarded.get(url + "/tasks", headers=AUTH).json["tasks"]
    (claimed,) = guarded.post_json("/tasks/claim", {"worker": "w"}, headers=AUTH).json["tasks"]
    assert task["callback_url"] == listed["callback_url"] == claimed["callback_url"]
    assert guarded.put_json(path_of(task["callback_url"]), said).json["task"]["attempt"] == 2


@pytest.mark.backends("sqlite")
def test_no_token_is_written_down(guarded: CheckedApp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    started = guarded.post_json("/executions", {"definition": CHAIN}, headers=AUTH).json
    path = path_of(started["scheduled"][0]["callback_url"])
    secret = path.removeprefix("/callbacks/")
    guarded.put_json(path, DONE)
    answers = [guarded.put_json(path + end, DONE, status="*") for end in ("x", "/x")] + [guarded.get(path, status=405)]
    assert all(secret[:20] not in answer.text for answer in answers)
    assert secret[:20] not in caplog.text
    assert "PUT /callbacks/... 200" in caplog.text


# -- keys and expiry --------------------------------------------------------------------------------------------------

BORN = datetime(2026, 2, 3, 4, 5, 6, 789_123, tzinfo=UTC)
ASSIGNMENT = Assignment(
    "5f0c7a3e-0000-4000-8000-000000000001", "täsk 😀", 2, 3, None, "default", {}, item=4, execution_created_at=BORN
)


def callbacks(keys: str, now: float = 1e9, **settings: float) -> Callbacks:
    return Callbacks(Settings(**settings), keys.split, lambda: now)  # type: ignore[arg-type]


def token(callbacks: Callbacks) -> str:
    return str(callbacks.url("owner", ASSIGNMENT)).rpartition("/")[2]


def test_keys_rotate() -> None:
    """What the old key signed is good as long as it is in the list; the first one signs."""
    old = token(callbacks("old"))
    assert callbacks("new old").read(old).task == "täsk 😀"
    assert callbacks("new").read(token(callbacks("new old"))).attempt == 3
    for keys, given in (("new", old), ("other", token(callbacks("new old")))):
        with pytest.raises(CallbackInvalid):
            callbacks(keys).read(given)


def test_a_url_stands_for_all_that_it_is_for() -> None:
    read = callbacks("k").read(token(callbacks("k")))
    expected = ("owner", ASSIGNMENT.execution_id, "täsk 😀", 2, 4, 3)
    assert (read.owner, read.execution_id, read.task, read.iteration, read.item, read.attempt) == expected
    assert read.of(Heartbeat("täsk 😀")).execution_created_at == BORN


@pytest.mark.parametrize("seconds", [1.0, 60.0, 30 * 86_400.0])
def test_a_url_expires_after_the_time_that_is_set_and_not_before(seconds: float) -> None:
    given = token(callbacks("k", callback_seconds=seconds))
    callbacks("k", 1e9 + seconds).read(given)
    with pytest.raises(CallbackExpired):
        callbacks("k", 1e9 + seconds * 1.05 + 2).read(given)


def test_processes_share_a_key_that_the_first_of_them_made(engine: Engine, settings: Settings) -> None:
    other = Engine(Database(settings), settings)
    keys = engine.signing_keys()
    assert keys == other.signing_keys() == engine.signing_keys()
    assert len(keys[0]) >= 43
    other.database.dispose()


@pytest.mark.backends("sqlite")
def test_the_longest_name_makes_a_url_that_servers_take() -> None:
    long = Assignment(
        ASSIGNMENT.execution_id, "😀" * 255, 9999, 9999, None, "default", {}, item=99_999, execution_created_at=BORN
    )
    assert len(str(callbacks("k").url("owner" * 10, long))) < 2000

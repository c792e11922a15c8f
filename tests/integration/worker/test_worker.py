"""`lazyengine work`: real processes that know the API and nothing else."""

import signal
import time

import pytest

from tests.integration.worker.conftest import Run, eventually


def test_what_an_action_returns_or_raises_becomes_of_its_task(serve, work):
    """Results, failures with and without a result, wrong input, and what is no JSON; the worker outlives all of it."""
    service = serve(LAZYENGINE_MAX_BODY_BYTES="100000")
    run = Run(
        service,
        sum=("tried.add", {"a": 2}),
        fails=("tried.fail", {"message": "gone"}),
        partly=("tried.fail_with_result", {}),
        leaves=("tried.leave", {}),
        unspeakable=("tried.unspeakable", {}),
        wrong=("tried.add", {"z": 1}),
        large=("tried.large", {"size": 200_000}),
        last=("tried.add", {"a": 3, "b": 4}),
    )
    worker = work(service.url, "--concurrency", "2")
    assert run.ended("sum")["result"] == 3
    assert run.ended("fails")["failure"] == {"type": "KeyError", "message": "'gone'", "details": None}
    partly = run.ended("partly")
    assert partly["failure"] == {"type": "tried.broken", "message": "it is broken", "details": {"line": 3}}
    assert partly["result"] == {"partly": True}
    assert run.ended("leaves")["failure"]["type"] == "SystemExit"
    assert "not JSON" in run.ended("unspeakable")["failure"]["message"]
    assert "argument 'z'" in run.ended("wrong")["failure"]["message"]
    assert "100000 bytes" in run.ended("large")["failure"]["message"]
    assert run.ended("last")["result"] == 7
    assert worker.poll() is None


def test_items_are_reported_one_by_one(serve, work):
    service = serve()
    definition = {"w": {"tasks": {"t": {"with-items": "i in [1, 2, 3]", "action": "tried.add a=<% $.i %>"}}}}
    _, execution = service.request("POST", "/executions", {"definition": definition})
    work(service.url)
    path = f"/executions/{execution['id']}"
    eventually(lambda: service.request("GET", path)[1]["state"] == "SUCCESS", "the end")
    assert service.request("GET", f"{path}/tasks/t")[1]["result"] == [2, 3, 4]


def test_only_what_it_can_do_is_claimed(serve, work):
    """Other actions, other targets and tasks without an action stay for others."""
    service = serve()
    tasks = {
        "other_action": {"action": "ci.build"},
        "none": {},
        "other_target": {"action": "tried.add a=1", "target": "far"},
        "not_chosen": {"action": "tried.fail message=x"},
        "mine": {"action": "tried.add a=1"},
    }
    _, execution = service.request("POST", "/executions", {"definition": {"w": {"tasks": tasks}}})
    work(service.url, "--action", "tried.add")
    path = f"/executions/{execution['id']}/tasks"
    eventually(lambda: service.request("GET", f"{path}/mine")[1]["state"] == "SUCCESS", "the task")
    time.sleep(0.5)
    for name in tasks.keys() - {"mine"}:
        task = service.request("GET", f"{path}/{name}")[1]
        assert (task["state"], task["claimed_by"]) == ("RUNNING", None), name


def test_heartbeats_keep_a_lease_that_is_shorter_than_the_work(serve, work):
    """With a lease of one second an action of three is done in one attempt, and its lease never runs out."""
    service = serve()
    run = Run(service, t=("tried.slow", {"seconds": 3}))
    work(service.url, "--lease-seconds", "1")
    leases, progress = set(), set()

    def seen():
        task = run.task()
        leases.add(task["lease_expires_at"])
        progress.add(task["progress"])
        return task["state"] == "SUCCESS" and task

    task = eventually(seen, "the end")
    assert (task["result"], task["attempt"]) == ("ended", 1)
    assert len(leases - {None}) >= 6, "it was not extended"
    assert 0.5 in progress


def test_a_running_action_sees_that_it_was_cancelled(serve, work, tmp_path):
    """It stops at once, its late report is refused, and the worker goes on."""
    service = serve()
    run = Run(service, t=("tried.slow", {"seconds": 60}))
    work(service.url, "--lease-seconds", "0.6")
    eventually((tmp_path / "t.began").exists)
    assert service.request("PUT", run.path, {"state": "CANCELLED"})[0] == 200
    eventually((tmp_path / "t.cancelled").exists)
    assert Run(service, t=("tried.add", {"a": 1})).ended()["result"] == 2


def test_a_task_that_was_overtaken_is_dropped(serve, work, tmp_path):
    """Somebody else completes the task: the action is told, its report changes nothing."""
    service = serve()
    run = Run(service, t=("tried.slow", {"seconds": 60}))
    worker = work(service.url, "--lease-seconds", "0.6")
    eventually((tmp_path / "t.began").exists)
    assert service.request("PUT", f"{run.path}/tasks/t", {"state": "SUCCESS", "result": "mine"})[0] == 200
    eventually((tmp_path / "t.cancelled").exists)
    eventually(lambda: "overtaken" in worker.log.read_text(), "the refusal")
    assert run.task()["result"] == "mine"


def test_sigterm_finishes_what_is_held_and_claims_no_more(serve, work, tmp_path):
    """The task under way is done, the one that waits stays on offer, and the worker ends with status 0."""
    service = serve()
    run = Run(service, first=("tried.slow", {"seconds": 2}))
    worker = work(service.url, "--concurrency", "1")
    eventually((tmp_path / "first.began").exists)
    second = Run(service, second=("tried.slow", {"seconds": 1}))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert run.task("first")["result"] == "ended"
    assert second.task("second")["claimed_by"] is None


@pytest.mark.parametrize("how", ["second signal", "grace"])
def test_who_does_not_want_to_wait_lets_it_go(serve, work, tmp_path, how):
    """A second SIGTERM, or the end of the time of grace, ends the worker at once; the task stays leased."""
    service = serve()
    run = Run(service, t=("tried.slow", {"seconds": 60}))
    worker = work(service.url, "--grace-seconds", "1" if how == "grace" else "60")
    eventually((tmp_path / "t.began").exists)
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert worker.poll() is None
    if how == "second signal":
        worker.send_signal(signal.SIGTERM)
    assert worker.wait(5) == 0
    assert run.task()["state"] == "RUNNING"


def test_the_lease_of_a_killed_worker_is_not_extended(serve, work, tmp_path):
    """SIGKILL: nothing is said for it any more, so its lease runs out."""
    service = serve()
    run = Run(service, t=("tried.slow", {"seconds": 60}))
    worker = work(service.url, "--lease-seconds", "1")
    eventually((tmp_path / "t.began").exists)
    worker.kill()
    worker.wait()
    lease = run.task()["lease_expires_at"]
    time.sleep(1.2)
    assert run.task()["lease_expires_at"] in (lease, None)


def test_a_report_is_repeated_until_the_api_is_back(serve, work, tmp_path):
    """The API dies while an action runs and is away when it ends; nothing is lost, and the worker works on."""
    first = serve()
    run = Run(first, t=("tried.slow", {"seconds": 1}))
    work(first.url)
    eventually((tmp_path / "t.began").exists)
    first.kill()
    eventually((tmp_path / "t.ended").exists)
    time.sleep(1)
    run.service = serve("--port", str(first.port))
    task = run.ended()
    assert (task["result"], task["attempt"]) == ("ended", 1)
    assert Run(run.service, t=("tried.add", {"a": 1})).ended()["result"] == 2


def test_what_is_completed_later_is_left_to_others(serve, work):
    """The lease goes on for as long as the action said, without heartbeats, and whoever knows the task completes it."""
    service = serve()
    run = Run(service, t=("tried.begin", {}))
    work(service.url, "--lease-seconds", "0.6")
    eventually(lambda: run.task()["claimed_by"], "the claim")
    time.sleep(1)
    task = run.task()
    assert task["state"] == "RUNNING"
    left = time.mktime(time.strptime(task["lease_expires_at"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone - time.time()
    assert 2_900 < left < 3_001
    assert service.request("PUT", f"{run.path}/tasks/t", {"state": "SUCCESS", "result": 5, "attempt": 1})[0] == 200
    assert run.task()["result"] == 5


def test_each_owner_has_a_worker(serve, work):
    """Tokens of two owners: tasks of both are done, and a token that is not known ends the process with a reason."""
    service = serve(LAZYENGINE_AUTH_TOKENS="alice:s3cret bob:t0ken")
    worker = work(service.url, LAZYENGINE_TOKEN="s3cret t0ken")
    definition = {"w": {"tasks": {"t": {"action": "tried.add a=1"}}}}
    for token in ("s3cret", "t0ken"):
        bearer = {"Authorization": f"Bearer {token}"}
        _, execution = service.request("POST", "/executions", {"definition": definition}, **bearer)
        path = f"/executions/{execution['id']}?wait_seconds=10"
        assert service.request("GET", path, **bearer)[1]["state"] == "SUCCESS"
    stranger = work(service.url, "--token", "unknown")
    assert stranger.wait(10) == 1
    assert "Authorization" in stranger.log.read_text()
    assert worker.poll() is None
    assert "s3cret" not in worker.log.read_text()


def test_wrong_options_are_named(work):
    """An action that is not installed, and a network that is none."""
    unknown = work("http://127.0.0.1:9", "--action", "tried.nothing")
    assert unknown.wait(10) == 1
    assert "tried.nothing" in unknown.log.read_text()
    wrong = work("http://127.0.0.1:9", LAZYENGINE_OUTBOUND_ALLOW="everything")
    assert wrong.wait(10) == 1
    assert "outbound_allow" in wrong.log.read_text()

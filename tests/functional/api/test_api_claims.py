"""Claims over HTTP: each task to one worker, the same key the same tasks."""

WIDE = {"version": "2.0", "w": {"tasks": {f"t{i}": {} for i in range(5)}}}


def names(answer):
    return [one["task"] for one in answer.json["tasks"]]


def test_each_task_goes_to_one_worker_and_can_be_completed_by_what_it_was_told(api, start):
    id_ = start(WIDE)
    first = api.post_json("/tasks/claim", {"worker": "a", "limit": 3})
    second = api.post_json("/tasks/claim", {"worker": "b", "limit": 10})
    assert len(names(first)) == 3
    assert sorted(names(first) + names(second)) == [f"t{i}" for i in range(5)]
    assert names(api.post_json("/tasks/claim", {"worker": "c"})) == []
    assignment = first.json["tasks"][0]
    task = api.get(f"/executions/{id_}/tasks/{assignment['task']}").json
    assert (task["claimed_by"], task["lease_expires_at"]) == ("a", assignment["lease_expires_at"])
    report = {"state": "SUCCESS", "attempt": assignment["attempt"]}
    api.put_json(f"/executions/{id_}/tasks/{assignment['task']}", report)


def test_the_same_key_gives_the_same_leases(api, start):
    start(WIDE)
    claim = {"worker": "a", "limit": 2, "claim_key": "k 😀"}
    first = api.post_json("/tasks/claim", claim).json
    assert api.post_json("/tasks/claim", claim).json == first
    assert len(first["tasks"]) == 2


def test_targets_and_actions_choose(api, start):
    start(
        {
            "version": "2.0",
            "w": {"tasks": {"a": {"action": "x.y", "target": "gpu"}, "b": {"action": "x.z", "target": "gpu"}, "c": {}}},
        }
    )
    assert names(api.post_json("/tasks/claim", {"worker": "w", "targets": ["cpu"], "limit": 9})) == []
    gpu = {"worker": "w", "targets": ["cpu", "gpu"], "actions": ["x.z", "q"], "limit": 9}
    assert names(api.post_json("/tasks/claim", gpu)) == ["b"]
    assert names(api.post_json("/tasks/claim", {"worker": "w", "limit": 9})) == ["c"]
    assert names(api.post_json("/tasks/claim", {"worker": "w", "targets": [], "limit": 9})) == []
    assert names(api.post_json("/tasks/claim", {"worker": "w", "targets": ["gpu"], "actions": []})) == []


def test_a_claim_that_finds_nothing_waits_no_longer_than_it_said(api):
    assert names(api.post_json("/tasks/claim", {"worker": "w", "wait_seconds": 0.1})) == []


def test_the_trace_of_the_start_travels_with_the_task(api):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    started = api.post_json("/executions", {"definition": WIDE}, headers={"traceparent": trace})
    assert started.json["scheduled"][0]["traceparent"] == trace
    assert api.post_json("/tasks/claim", {"worker": "w"}).json["tasks"][0]["traceparent"] == trace

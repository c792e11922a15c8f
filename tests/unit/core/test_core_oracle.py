"""The oracle itself, on cases that can be told by hand: what it says must not be what the core says by construction."""

import pytest
from oracle import Oracle, Story

DIAMOND = {
    "a": {"on-success": ["b", "c"]},
    "b": {"on-success": ["d"]},
    "c": {"on-success": ["d"]},
    "d": {"join": "all"},
}


@pytest.mark.parametrize(
    ("ended", "runs", "verdict"),
    [
        ({}, {"a": "RUNNING"}, "RUNNING"),
        ({"a": "FAILURE"}, {"a": "FAILURE"}, "FAILURE"),
        ({"a": "CANCELLED"}, {"a": "CANCELLED"}, "CANCELLED"),
        ({"a": "SUCCESS"}, {"a": "SUCCESS", "b": "RUNNING", "c": "RUNNING"}, "RUNNING"),
        (
            {"a": "SUCCESS", "b": "FAILURE", "c": "SUCCESS"},
            {"a": "SUCCESS", "b": "FAILURE", "c": "SUCCESS", "d": "FAILURE"},
            "FAILURE",
        ),
        (
            {"a": "SUCCESS", "b": "SUCCESS", "c": "SUCCESS"},
            {"a": "SUCCESS", "b": "SUCCESS", "c": "SUCCESS", "d": "RUNNING"},
            "RUNNING",
        ),
    ],
)
def test_a_diamond(ended, runs, verdict):
    prediction = Oracle(DIAMOND).predict({(name, 1): end for name, end in ended.items()})
    assert prediction.runs == {(name, 1): state for name, state in runs.items()}
    assert prediction.verdict == verdict


def test_without_join_every_entry_that_fires_is_a_run():
    oracle = Oracle(
        {"a": {"on-success": ["b"], "on-complete": ["b"]}, "b": {"on-success": ["c"]}, "c": {"join": "one"}}
    )
    runs = oracle.predict({("a", 1): "SUCCESS", ("b", 2): "SUCCESS"}).runs
    assert runs == {("a", 1): "SUCCESS", ("b", 1): "RUNNING", ("b", 2): "SUCCESS", ("c", 1): "RUNNING"}


def test_a_story_waits_for_resume():
    story = Story(Oracle({"a": {"on-success": ["b", "pause", "c"]}, "b": {}, "c": {}}))
    story.end(("a", 1), "SUCCESS")
    assert story.state == "SUSPENDED"
    assert set(story.prediction.runs) == {("a", 1), ("b", 1)}
    story.resume()
    assert story.state == "RUNNING"
    assert set(story.prediction.runs) == {("a", 1), ("b", 1), ("c", 1)}


def test_a_story_ends_once():
    story = Story(Oracle({"a": {"on-success": ["fail"]}, "b": {"on-success": ["succeed"]}}))
    story.end(("b", 1), "SUCCESS")
    story.end(("a", 1), "SUCCESS")
    assert story.state == "SUCCESS"

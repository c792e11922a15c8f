"""Notifications over HTTP: asked for, listed, replayed."""

import pytest


def finish(api, start, *urls):
    id = start({"w": {"tasks": {"a": None}}}, notify=[{"url": url} for url in urls])
    api.put_json(f"/executions/{id}/tasks/a", {"state": "SUCCESS"})
    return id


def test_what_waits_is_listed_page_by_page(api, start):
    id = finish(api, start, "https://h/1", "https://h/2", "https://h/3")
    page = api.get("/notifications?limit=2").json
    assert [(one["url"], one["state"], one["tries"]) for one in page["notifications"]] == [
        ("https://h/1", "pending", 0), ("https://h/2", "pending", 0),
    ]  # fmt: skip
    assert page["notifications"][0]["event"]["id"] == id
    rest = api.get(page["links"][0]["href"]).json
    assert [one["url"] for one in rest["notifications"]] == ["https://h/3"]
    assert rest["links"] == []
    assert api.get("/notifications?state=dead").json["notifications"] == []
    assert len(api.get("/notifications?state=pending").json["notifications"]) == 3


def test_one_is_replayed(api, start):
    finish(api, start, "https://h/1")
    (one,) = api.get("/notifications").json["notifications"]
    again = api.post(f"/notifications/{one['id']}/replay").json
    assert (again["id"], again["state"]) == (one["id"], "pending")


@pytest.mark.parametrize("id", ["0", "2147483647", "x", "-1"])
def test_there_is_none(api, id):
    problem = api.post(f"/notifications/{id}/replay", status=404).json
    assert problem["code"] == "notification.not_found"


@pytest.mark.parametrize(
    "notify",
    [
        [{}], [{"url": "ftp://h/"}], [{"url": "h"}], [{"url": "https://h/", "on": ["begun"]}],
        [{"url": "https://h/ x"}],
        [{"url": "https://h/"}] * 17, {"url": "https://h/"},
    ],
)  # fmt: skip
def test_a_wish_that_makes_no_sense(api, notify):
    body = {"definition": {"w": {"tasks": {"a": None}}}, "notify": notify}
    problem = api.post_json("/executions", body, status=400).json
    assert (problem["code"], "/notify" in problem["detail"]) == ("request.invalid", True)

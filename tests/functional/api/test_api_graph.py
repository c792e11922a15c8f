"""The graph of an execution over HTTP, as data and as pictures."""

import uuid

import pytest
from sqlalchemy import event

DEFINITION = {
    "version": "2.0",
    "w": {
        "input": [{"again": True}],
        "tasks": {
            "a": {"on-success": ["b", {"c": "<% $.again %>"}], "on-error": "fail"},
            "b": {"action": "x", "on-complete": ["d", {"pause": "<% false %>"}]},
            "c": {"with-items": "i in <% range(3) %>", "action": "y", "on-success": "d"},
            "d": {"join": "all", "workflow": "lower"},
        },
    },
    "lower": {"tasks": {'say "hi" ] < \\ end': None}},
}
LOOP = {"w": {"tasks": {"a": {"on-success": "b"}, "b": {"on-success": "c"}, "c": {"on-success": "b"}}}}
SUCCESS = {"state": "SUCCESS"}
FAILURE = {"state": "FAILURE", "failure": {"type": "t", "message": "m"}}


@pytest.fixture
def path(start):
    return f"/executions/{start(DEFINITION, workflow='w')}"


def test_the_graph_as_data(api, path):
    api.put_json(f"{path}/tasks/a", SUCCESS)
    api.put_json(f"{path}/tasks/c?item=1", FAILURE)
    api.put_json(f"{path}/tasks/b", FAILURE)
    plain = {
        "kind": "task",
        "join": None,
        "state": "RUNNING",
        "iteration": 1,
        "action": None,
        "workflow": None,
        "items": None,
    }
    graph = api.get(f"{path}/graph").json
    assert graph == api.get(f"{path}/graph?format=json").json
    assert graph["nodes"] == [
        {**plain, "name": "a", "state": "SUCCESS"},
        {**plain, "name": "b", "state": "FAILURE", "action": "x"},
        {**plain, "name": "c", "action": "y", "items": {"total": 3, "done": 1, "failed": 1}},
        {**plain, "name": "d", "state": "PENDING", "join": 2, "workflow": "lower"},
    ]
    edges = [(one["from"], one["on"], one["to"], one["command"], one["guard"]) for one in graph["edges"]]
    assert sorted(edges, key=str) == [
        ("a", "on-error", None, "fail", None),
        ("a", "on-success", "b", None, None),
        ("a", "on-success", "c", None, "<% $.again %>"),
        ("b", "on-complete", "d", None, None),
        ("b", "on-complete", None, "pause", "<% false %>"),
        ("c", "on-success", "d", None, None),
    ]


def test_the_newest_run_of_a_loop_is_shown_and_others_see_nothing_of_it(api, start):
    path, other = (f"/executions/{start(LOOP)}" for _ in range(2))
    for task in "abcbcb":
        api.put_json(f"{path}/tasks/{task}", SUCCESS)

    def runs(path):
        return [(one["name"], one["iteration"], one["state"]) for one in api.get(f"{path}/graph").json["nodes"]]

    assert runs(path) == [("a", 1, "SUCCESS"), ("b", 3, "SUCCESS"), ("c", 3, "RUNNING")]
    assert runs(path) == [
        (name, *(api.get(f"{path}/tasks/{name}").json[key] for key in ("iteration", "state"))) for name in "abc"
    ]
    assert runs(other) == [("a", 1, "RUNNING"), ("b", 1, "PENDING"), ("c", 1, "PENDING")]


def test_pictures(api, path):
    api.put_json(f"{path}/tasks/a", SUCCESS)
    dot = api.get(f"{path}/graph?format=dot")
    assert dot.headers["Content-Type"] == "text/vnd.graphviz; charset=utf-8"
    assert 'n0 [label="a\\nSUCCESS", ' in dot.text
    assert 'n3 [label="d\\nPENDING\\nworkflow lower\\njoin all", ' in dot.text
    assert 'n0 -> n2 [label="on-success\\n<% $.again %>", ' in dot.text
    mermaid = api.get(f"{path}/graph?format=mermaid")
    assert mermaid.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert '  n2("c<br/>RUNNING<br/>y<br/>0 of 3 items done"):::running\n' in mermaid.text


def test_pictures_of_awkward_names_are_utf8(api, start):
    name = '🙂 "quoted" ] \\ end'
    path = f"/executions/{start({'w': {'tasks': {name: None}}})}"
    assert '"🙂 \\"quoted\\" ] \\\\ end\\nRUNNING"' in api.get(f"{path}/graph?format=dot").body.decode()
    assert '"🙂 #34;quoted#34; #93; #92; end<br/>RUNNING"' in api.get(f"{path}/graph?format=mermaid").body.decode()


@pytest.mark.parametrize(
    ("format", "accept", "status"),
    [
        ("json", "application/json", 200),
        ("json", "text/plain", 406),
        ("dot", "application/json", 406),
        ("dot", "text/vnd.graphviz", 200),
        ("dot", "text/*", 200),
        ("dot", "text/html, */*;q=0.1", 200),
        ("dot", "text/plain", 406),
        ("dot", "text/*, text/vnd.graphviz;q=0", 406),
        ("mermaid", "application/json", 406),
        ("mermaid", "application/json, text/plain;charset=utf-8", 200),
        ("mermaid", "application/*", 406),
    ],
)
@pytest.mark.backends("sqlite")
def test_accept_has_to_admit_the_type_of_the_format(api, path, format, accept, status):
    answer = api.get(f"{path}/graph?format={format}", headers={"Accept": accept}, status=status)
    if status == 406:
        assert answer.json["code"] == "request.not_acceptable"
        types = {"json": "application/json", "dot": "text/vnd.graphviz", "mermaid": "text/plain"}
        assert f"would be {types[format]};" in answer.json["detail"]


def test_what_is_not_there_or_not_known_is_refused(api, path):
    unknown = api.get(f"/executions/{uuid.UUID(int=0)}/graph?format=dot", status=404)
    assert (unknown.json["code"], unknown.headers["Content-Type"]) == (
        "execution.not_found",
        "application/problem+json",
    )
    assert api.get("/executions/nothing/graph", status=404).json["code"] == "execution.not_found"
    for query in ("format=svg", "format=", "format=dot&format=dot", "limit=1"):
        assert api.get(f"{path}/graph?{query}", status=400).json["code"] == "request.invalid"


def test_graphs_beyond_the_limits_are_refused(api, start):
    """1000 tasks are shown, and one more is too many; so are more than 10000 edges."""
    chain = {f"t{number}": {"on-success": f"t{number + 1}"} for number in range(999)} | {"t999": None}
    graph = api.get(f"/executions/{start({'w': {'tasks': chain}})}/graph").json
    assert (len(graph["nodes"]), len(graph["edges"])) == (1000, 999)
    leaves = {f"l{number}": None for number in range(101)}
    dense = leaves | {f"t{number}": {"on-success": [*leaves]} for number in range(100)}
    for tasks in (chain | {"more": None}, dense):
        path = f"/executions/{start({'w': {'tasks': tasks}})}/graph"
        for query in ("", "?format=dot"):
            assert api.get(path + query, status=409).json["code"] == "graph.too_large"


def test_a_graph_is_read_by_three_statements_without_a_lock(api, path, database):
    """The execution, its nodes, its newest runs; whatever has happened."""
    api.put_json(f"{path}/tasks/a", SUCCESS)
    said = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    api.get(f"{path}/graph")
    read = [text for text in said if text.lstrip().upper().startswith("SELECT")]
    assert len(read) == 3
    assert not any("FOR UPDATE" in text for text in read)

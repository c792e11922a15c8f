"""TaskFlow flows over the API: how they are found and started, what assignments say, what is refused."""

import uuid
from typing import Any

import pytest
from checked_app import CheckedApp
from taskflow import engines, retry, task
from taskflow.flow import Flow
from taskflow.patterns import graph_flow, linear_flow

from lazyengine.api.app import make_app
from lazyengine.engine import Engine
from lazyengine.flow_worker import work
from lazyengine.flows import Flows

OTHER = "version: '2.0'\ngreet: {tasks: {hello: {}}}"


class Greet(task.Task):
    def execute(self, who: str, loudly: bool = False) -> str:
        return f"hello {who}"

    def revert(self, who: str, result: Any, flow_failures: Any) -> None: ...


class Named(task.Task):
    def execute(self) -> str:
        return self.name


class Stubborn(retry.Times):
    """A controller that somebody has written: only its workers know what it does."""

    def execute(self, history: retry.History) -> str:
        return f"attempt {len(history) + 1}"


def greet() -> Flow:
    return linear_flow.Flow("anything").add(Greet("greet", provides="greeting"))


def stubborn() -> Flow:
    return linear_flow.Flow("f", Stubborn(2, "r", provides="attempt")).add(Greet("greet", rebind={"who": "attempt"}))


def broken() -> Flow:
    raise ImportError("no module named 'secret'")


FACTORIES = {"greet": greet, "stubborn": stubborn, "broken": broken}


class Service:
    """A service with flows, and a worker that knows them."""

    def __init__(self, database, settings, factories) -> None:
        self.flows = Flows(factories)
        self.app = CheckedApp(make_app(Engine(database, settings, flows=Flows(factories, hands_out=True)), settings))

    def start(self, workflow: str, status: int = 201, **body: Any) -> Any:
        return self.app.post_json("/executions", {"workflow": workflow, **body}, status=status).json

    def get(self, path: str, status: int = 200) -> Any:
        return self.app.get(path, status=status).json

    def claim(self, action: str) -> Any:
        (found,) = self.app.post_json("/tasks/claim", {"worker": "w", "actions": [action]}).json["tasks"]
        return found

    def report(self, assignment: Any, report: Any = None, status: int = 200) -> Any:
        report = report or work(self.flows, assignment)
        path = f"/executions/{assignment['execution_id']}/tasks/{assignment['task']}"
        return self.app.put_json(path, report, status=status).json

    def fail(self, assignment: Any) -> Any:
        return self.report(assignment, {"state": "FAILURE", "failure": {"type": "ValueError", "message": "no"}})


@pytest.fixture
def serve(database, settings):
    return lambda **factories: Service(database, settings, factories or FACTORIES)


@pytest.fixture
def service(serve) -> Service:
    return serve()


def test_a_registered_flow_is_started_claimed_and_completed(service):
    started = service.start("greet", input={"who": "Ann"}, tags=["a"], description="d")
    assert (started["workflow"], started["tags"], started["description"]) == ("greet", ["a"], "d")
    (assignment,) = started["scheduled"]
    assert (assignment["task"], assignment["action"], assignment["reverts"], assignment["asks"]) == (
        "greet", "greet", False, None,
    )  # fmt: skip
    assert assignment["input"] == {"who": "Ann"}
    claimed = service.claim("greet")
    assert claimed | {"lease_expires_at": None} == assignment
    answer = service.report(claimed)
    assert (answer["task"]["result"], answer["execution"]["state"]) == ("hello Ann", "SUCCESS")


def test_a_revert_says_so(service):
    (assignment,) = service.start("greet", input={"who": "Ann"})["scheduled"]
    (revert,) = service.fail(assignment)["scheduled"]
    assert (revert["reverts"], revert["attempt"], revert["asks"]) == (True, 2, None)
    assert revert["input"]["result"]["message"] == "no"
    here = f"/executions/{revert['execution_id']}"
    assert service.get(f"{here}/tasks/greet")["reverts"]
    assert service.claim("greet")["reverts"]
    assert service.report(revert)["execution"]["state"] == "REVERTED"


def test_an_id_starts_once(service):
    body = {"input": {"who": "Ann"}, "id": str(uuid.uuid4())}
    first = service.start("greet", **body)
    assert service.start("greet", 200, **body)["scheduled"] == first["scheduled"]
    body["input"] = {"who": "Bob"}
    assert service.start("greet", 409, **body)["code"] == "execution.id_in_use"


@pytest.mark.parametrize(
    ("given", "detail"), [({}, "'who' is missing"), ({"who": 1, "whom": 2}, "'whom' is not declared")]
)
def test_input_that_does_not_fit(service, given, detail):
    problem = service.start("greet", 400, input=given)
    assert problem["code"] == "input.invalid"
    assert detail in problem["detail"]


def test_flows_stand_among_the_workflows_until_one_of_the_name_is_stored(service):
    shown = {one["name"]: one for one in service.get("/workflows")["workflows"]}
    assert list(shown) == ["greet", "stubborn"], "one that cannot be made is left out"
    found = service.get("/workflows/greet")
    assert (found["language"], found["definition"], found["created_at"]) == ("taskflow", None, None)
    assert [(one["name"], one["required"]) for one in found["input"]] == [("who", True), ("loudly", False)]
    pages = service.get("/workflows?limit=1")
    assert [one["name"] for one in pages["workflows"]] == ["greet"]
    assert [one["name"] for one in service.app.get(pages["links"][0]["href"]).json["workflows"]] == ["stubborn"]
    for query in ("tag=x", "namespace=n"):
        assert service.get(f"/workflows?{query}")["workflows"] == []
    service.get("/workflows/greet?revision=2", 404)
    service.app.delete("/workflows/greet", status=404)
    service.app.post_json("/workflows", {"definition": OTHER})
    assert [one["language"] for one in service.get("/workflows")["workflows"]] == ["mistral", "taskflow"]
    assert service.get("/workflows/greet")["language"] == "mistral"
    assert service.start("greet")["scheduled"][0]["task"] == "hello"


def test_no_caller_names_code(service):
    for name in ("lazyengine.flows:Flows", "os.system", "nothing"):
        assert service.start(name, 404)["code"] == "workflow.not_found"


def test_a_factory_that_fails_is_the_operators_business(service):
    problem = service.start("broken", 500)
    assert (problem["code"], "secret" in str(problem)) == ("flow.unusable", False)
    assert service.get("/workflows/broken", 500)["code"] == "flow.unusable"


def test_a_factory_is_called_once(serve):
    calls = []
    service = serve(greet=lambda: calls.append(1) or greet())
    assert not calls
    for _ in range(2):
        (assignment,) = service.start("greet", input={"who": "Ann"})["scheduled"]
        service.fail(assignment)
    assert len(calls) == 1


def test_a_flow_that_has_changed_is_not_run_wrong(serve):
    """What is under way waits for the flow that it began with; it can be cancelled and deleted without."""

    def two() -> Flow:
        return greet().add(Named("last"))

    (assignment,) = serve(greet=two).start("greet", input={"who": "Ann"})["scheduled"]
    here = f"/executions/{assignment['execution_id']}"
    changed = serve(greet=lambda: two().add(Named("more")))
    done = {"state": "SUCCESS", "result": 1}
    assert changed.report(assignment, done, 409)["code"] == "flow.changed"
    assert changed.start("greet", input={"who": "Bob"})["scheduled"]
    assert serve(other=two).report(assignment, done, 404)["code"] == "workflow.not_found"
    (last,) = serve(greet=two).report(assignment, done)["scheduled"]
    assert changed.app.put_json(here, {"state": "CANCELLED"}).json["state"] == "CANCELLED"
    assert changed.report(last, done, 409)["code"] == "execution.finished"
    changed.app.delete(here, status=204)


def test_a_controller_of_ones_own_is_asked_through_the_api(service):
    started = service.start("stubborn")
    here = f"/executions/{started['id']}"
    (execute,) = started["scheduled"]
    assert (execute["task"], execute["input"]) == ("r", {"history": []})
    (greeting,) = service.report(execute)["scheduled"]
    assert greeting["input"] == {"who": "attempt 1"}
    (question,) = service.fail(greeting)["scheduled"]
    assert (question["task"], question["asks"]) == ("r", "on_failure")
    assert question["input"]["history"][0][1]["greet"]["message"] == "no"
    shown = service.get(f"{here}/tasks/r")
    assert (shown["state"], shown["asks"], shown["result"]) == ("ASKING", "on_failure", "attempt 1")
    claimed = service.claim("stubborn")
    assert claimed["asks"] == "on_failure"
    report = work(service.flows, claimed)
    assert report["result"] == "RETRY"
    (revert,) = service.report(claimed, report)["scheduled"]
    assert (revert["task"], revert["reverts"]) == ("greet", True)
    assert service.report(claimed, report)["replayed"], "the answer may be repeated"
    assert service.get(f"{here}/tasks/r")["result"] == "attempt 1"
    (again,) = service.report(revert)["scheduled"]
    assert [one[0] for one in again["input"]["history"]] == ["attempt 1"]
    (greeting,) = service.report(again)["scheduled"]
    (question,) = service.fail(greeting)["scheduled"]
    (revert,) = service.report(question)["scheduled"]
    (undo,) = service.report(revert)["scheduled"]
    assert (undo["task"], undo["reverts"], len(undo["input"]["history"])) == ("r", True, 2)
    assert service.report(undo)["execution"]["state"] == "REVERTED"


@pytest.mark.parametrize("answer", [{"state": "SUCCESS", "result": "MAYBE"}, {"state": "CANCELLED"}])
def test_what_is_no_answer_breaks_the_flow(service, answer):
    (execute,) = service.start("stubborn")["scheduled"]
    (greeting,) = service.report(execute)["scheduled"]
    (question,) = service.fail(greeting)["scheduled"]
    assert service.report(question, answer)["execution"]["state"] == "FAILURE"


@pytest.mark.parametrize("depth", ["ALL", "FLOW", "NEIGHBORS", "ATOM"])
@pytest.mark.parametrize("goes", [True, False])
def test_deciders_are_asked_through_the_api(serve, depth, goes):
    """a -?-> b -> c -> d -> flow(e): what is ignored, and what runs, is what it is in TaskFlow."""

    def factory() -> Flow:
        flow, end = graph_flow.Flow("f"), linear_flow.Flow("g").add(Named("e"))
        tasks = [Named(name) for name in "abcd"]
        flow.add(*tasks, end)
        flow.link(tasks[0], tasks[1], decider=lambda history: goes and history == {"a": "a"}, decider_depth=depth)
        for source, target in zip(tasks[1:], [*tasks[2:], end], strict=True):
            flow.link(source, target)
        return flow

    engine = engines.load(factory(), engine="serial")
    engine.run()
    service = serve(doubt=factory)
    waiting = service.start("doubt")["scheduled"]
    id, asked = waiting[0]["execution_id"], []
    while waiting:
        assignment = waiting.pop()
        if assignment["asks"]:
            asked.append((assignment["task"], assignment["asks"], assignment["input"]))
            assert service.get(f"/executions/{id}/tasks/{assignment['task']}")["state"] == "DECIDING"
        waiting += service.report(assignment)["scheduled"]
    assert asked == [("b", "decide", {"history": {"a": "a"}, "links": [["a", "b"]]})]
    assert service.get(f"/executions/{id}")["state"] == engine.storage.get_flow_state() == "SUCCESS"
    states = {one["name"]: one["state"] for one in service.get(f"/executions/{id}/tasks")["tasks"]}
    assert states == {name: engine.storage.get_atom_state(name) for name in "abcde"}


def test_a_decider_that_raises_and_an_answer_that_fits_not(serve):
    def factory() -> Flow:
        flow, first, second = graph_flow.Flow("f"), Named("a"), Named("b")
        flow.add(first, second)
        flow.link(first, second, decider=lambda history: history["z"])
        return flow

    service = serve(doubt=factory)
    for answer in (None, {"state": "SUCCESS", "result": [True, True]}):
        (first,) = service.start("doubt")["scheduled"]
        (question,) = service.report(first)["scheduled"]
        assert service.report(question, answer)["execution"]["state"] == "FAILURE"


def test_gates_are_no_tasks_and_points_in_pictures(service):
    id = service.start("greet", input={"who": "Ann"})["id"]
    here = f"/executions/{id}"
    assert [one["name"] for one in service.get(f"{here}/tasks")["tasks"]] == ["greet"]
    nodes = service.get(f"{here}/graph")["nodes"]
    assert [node["kind"] for node in nodes] == ["gate", "task", "gate"]
    service.get(f"{here}/tasks/{nodes[0]['name']}", 404)
    assert service.app.get(f"{here}/graph?format=dot").text.count('shape="point"') == 2
    assert service.app.get(f"{here}/graph?format=mermaid").text.count('((" "))') == 2

"""TaskFlow's own tests of its engines, as the installed package has them, run by the engine `lazy`.

Each class of its suites that makes an engine is derived from here, with another way to make one: serial, or in threads.
Those of its storage make none.  What does not pass is listed with its reason, and has to go on not passing.
"""

import importlib
import os
import socket
import warnings
from contextlib import suppress

import pytest
import taskflow.engines

from lazyengine.compilers.patterns import Compiler
from lazyengine.taskflow_engine import LazyRuntime

NEEDED = ("etcd3gw", "fixtures", "kazoo", "kombu", "oslotest", "redis", "testtools")

if os.environ.get("CI") != "true":
    for needed in NEEDED:
        pytest.importorskip(needed, reason="TaskFlow's tests need it")

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("entry_point")]

SUITES = {
    "test_engines": ("SerialEngineTest", "ParallelEngineWithThreadsTest"),
    "test_retries": ("SerialEngineTest", "ParallelEngineWithThreadsTest"),
    "test_suspend": ("SerialEngineTest", "ParallelEngineWithThreadsTest"),
    "test_arguments_passing": ("SerialEngineTest", "ParallelEngineWithThreadsTest"),
    "test_listeners": (
        "TestClaimListener",
        "TestDurationListener",
        "TestEventTimeListener",
        "TestCapturingListeners",
        "TestLoggingListeners",
    ),
    "test_progress": ("TestProgress",),
    "test_storage": ("StorageMemoryTest", "StorageSQLTest"),
    "test_engine_helpers": ("EngineLoadingTestCase", "FlowFromDetailTestCase", "LoadFromFactoryTestCase"),
    "test_functor_task": ("FunctorTaskTest",),
    "test_mapfunctor_task": ("MapFunctorTaskTest",),
    "test_reducefunctor_task": ("ReduceFunctorTaskTest",),
    "action_engine.test_builder": ("BuildersTest",),
    "action_engine.test_compile": ("PatternCompileTest",),
}
THREADS = "ParallelEngineWithThreadsTest"

IMPOSSIBLE = "it has a task succeed before the flow that leads to it; the core reverts that flow, and nothing outside"
ANOTHER_CLASS = "it asks for TaskFlow's own class of engines"
NOT_PASSING = {
    ("test_engines", "SerialEngineTest", "test_correct_load"): ANOTHER_CLASS,
    ("test_retries", "SerialEngineTest", "test_nested_provides_graph_reverts_correctly"): IMPOSSIBLE,
    ("test_retries", THREADS, "test_nested_provides_graph_reverts_correctly"): IMPOSSIBLE,
}


@pytest.fixture(autouse=True)
def quick_threads(monkeypatch):
    """Let threads that have nothing to do any more end sooner than after a second."""
    monkeypatch.setattr("futurist._thread.ThreadWorker.MAX_IDLE_FOR", 0.02)


def load_serial(self, flow, flow_detail=None, backend=None, **options):
    return taskflow.engines.load(
        flow, flow_detail=flow_detail, backend=backend or getattr(self, "backend", None), engine="lazy", **options
    )


def load_threads(self, flow, flow_detail=None, executor=None, **options):
    return load_serial(self, flow, flow_detail, executor=executor or "threads", max_workers=2, **options)


def load_prepared(self, flow, flow_detail=None, backend=None):
    engine = load_serial(self, flow, flow_detail, backend)
    engine.compile()
    engine.prepare()
    return engine


def use_lazy_runtime(self):
    """Let a test that puts the parts of an engine together itself take ours."""
    patch = pytest.MonkeyPatch()
    patch.setattr("taskflow.engines.action_engine.runtime.Runtime", LazyRuntime)
    self.addCleanup(patch.undo)
    super(type(self), self).setUp()


def use_lazy_engine(self):
    """Let a test that names no engine get ours."""
    patch = pytest.MonkeyPatch()
    for function in (taskflow.engines.load, taskflow.engines.run, taskflow.engines.load_from_factory):
        defaults = ("lazy" if value == "default" else value for value in function.__defaults__)
        patch.setattr(function, "__defaults__", tuple(defaults))
    self.addCleanup(patch.undo)
    super(type(self), self).setUp()


def use_our_compiler(self):
    patch = pytest.MonkeyPatch()
    patch.setattr("taskflow.engines.action_engine.compiler.PatternCompiler", Compiler)
    self.addCleanup(patch.undo)
    super(type(self), self).setUp()


BY_DEFAULT = (
    "EngineLoadingTestCase",
    "LoadFromFactoryTestCase",
    "FunctorTaskTest",
    "MapFunctorTaskTest",
    "ReduceFunctorTaskTest",
)
MAKERS = {
    **{name: {"setUp": use_lazy_engine} for name in BY_DEFAULT},
    "PatternCompileTest": {"setUp": use_our_compiler},
    "SerialEngineTest": {"_make_engine": load_serial},
    THREADS: {"_make_engine": load_threads},
    "BuildersTest": {"setUp": use_lazy_runtime},
}
PREPARED = {"_make_engine": load_prepared}


def expected_to_fail(name, reason):
    @pytest.mark.xfail(strict=True, reason=reason)
    def test(self):
        getattr(super(type(self), self), name)()

    test.__name__ = name
    return test


def derive(module, name):
    suite = importlib.import_module(f"taskflow.tests.unit.{module}")
    body = {"__module__": __name__, **MAKERS.get(name, PREPARED)}
    for (of_module, of_class, test), reason in NOT_PASSING.items():
        if (of_module, of_class) == (module, name):
            body[test] = expected_to_fail(test, reason)
    title = "".join(word.title() for word in module.split("test_")[1].split("_")) + name.replace("Test", "")
    return type(f"Test{title}", (getattr(suite, name),), body)


def zookeeper_answers(min_version, timeout=30):
    """Ask as TaskFlow's tests do, but do not wait for a server that is not there."""
    with suppress(OSError), socket.create_connection(("localhost", 2181), timeout=1):
        return True
    return False


with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
    warnings.simplefilter("ignore")
    patch.setattr("taskflow.tests.utils.zookeeper_available", zookeeper_answers)
    for module, names in SUITES.items():
        for name in names:
            derived = derive(module, name)
            globals()[derived.__name__] = derived
del derived

"""Mistral's own engine in one thread: what it sends, schedules and starts threads for waits in one queue.

Engine, language, policies, data flow and database are Mistral's; only the transport, the scheduler and the threads are
replaced, so that the order is always the same and a clock that jumps makes delays cost nothing.
"""

import collections
import copy
import heapq
import logging

import jsonschema
from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)  # as Mistral's servers do, before anything else of it

from mistral import context  # noqa: E402
from mistral.db.v2 import api as db_api  # noqa: E402
from mistral.engine import default_engine, dispatcher, post_tx_queue  # noqa: E402
from mistral.executors import base as executors  # noqa: E402
from mistral.executors import default_executor  # noqa: E402
from mistral.rpc import clients  # noqa: E402
from mistral.scheduler import base as schedulers  # noqa: E402
from mistral.scheduler.default_scheduler import DefaultScheduler  # noqa: E402
from mistral.services import actions as action_service  # noqa: E402
from mistral.services import security  # noqa: E402
from mistral.workflow import base as workflow_base  # noqa: E402
from oslo_config import cfg  # noqa: E402

logging.disable(logging.CRITICAL)

CONTEXT = context.MistralContext.from_dict(
    {"user_name": "oracle", "project_id": security.DEFAULT_PROJECT_ID, "project_name": "oracle", "is_admin": False}
)


class Queue:
    """What is to be done, first come first served, and what is due later."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.ready, self.later, self.now, self.count = collections.deque(), [], 0, 0

    def put(self, function):
        self.ready.append((function, context.ctx() if context.has_ctx() else None))

    def work_off(self):
        """Do what can be done without time passing."""
        while self.ready or (self.later and self.later[0][0] <= self.now):
            if not self.ready:
                self.ready.append((heapq.heappop(self.later)[2].run, None))
            function, ctx = self.ready.popleft()
            context.set_ctx(ctx or CONTEXT)
            try:
                function()
            except Exception as error:  # an RPC server or a scheduler would log it and go on
                logging.getLogger(__name__).debug(error)
        context.set_ctx(CONTEXT)

    def jump(self):
        """Let time pass until the next thing is due; return whether there is one."""
        if not self.later:
            return False
        self.now = self.later[0][0]
        return True


QUEUE = Queue()


class Scheduler(schedulers.Scheduler):
    """Keeps jobs in the queue, not in a database."""

    def schedule(self, job):
        QUEUE.count += 1
        heapq.heappush(QUEUE.later, (QUEUE.now + job.run_after, QUEUE.count, Job(job)))

    def has_scheduled_jobs(self, **filters):
        return any(job.key == filters.get("key", job.key) for _, _, job in QUEUE.later)

    def start(self):
        pass

    def stop(self, graceful=False):
        pass


class Job:
    """A call to be made later, with its arguments as they would be stored."""

    def __init__(self, job):
        self.key, self.target_factory_func_name, self.func_name = job.key, job.target_factory_func_name, job.func_name
        self.func_args, self.func_arg_serializers = copy.deepcopy(job.func_args), job.func_arg_serializers
        self.auth_ctx, self.id = {}, 0
        for name, path in (self.func_arg_serializers or {}).items():
            module, _, kind = path.rpartition(".")
            serializer = getattr(__import__(module, fromlist=[kind]), kind)()
            self.func_args[name] = serializer.serialize(self.func_args[name])

    def run(self):
        _, function, arguments = DefaultScheduler._prepare_job(self)
        function(**arguments)


class Thread:
    """A thread that begins when it is its turn, and does not run beside another."""

    def __init__(self, target=None, args=(), **_):
        self.target, self.args = target, args

    def start(self):
        QUEUE.put(lambda: self.target(*self.args))


class ThreadAtOnce(Thread):
    """A thread whose starter waits for its end."""

    def start(self):
        self.target(*self.args)

    def join(self, timeout=None):
        pass

    def is_alive(self):
        return False


class Client:
    """The engine as others call it, by messages that arrive one after the other."""

    def __init__(self):
        self.engine = default_engine.DefaultEngine()

    def __getattr__(self, verb):
        def send(*args, async_=False, params=None, wf_spec=None, **kwargs):
            QUEUE.put(lambda: getattr(self.engine, verb)(*args, **kwargs, **(params or {})))

        return send


class Executor(default_executor.DefaultExecutor):
    """Runs actions as Mistral's does, and notes which are asynchronous."""

    def __init__(self):
        super().__init__()
        self.started = []

    def run_action(self, action, action_ex_id, *args, **kwargs):
        if action_ex_id and not action.is_sync():
            self.started.append(action_ex_id)
        return super().run_action(action, action_ex_id, *args, **kwargs)


def newest_last_defined(rows):
    """Bring task executions into an order: of equal versions Mistral prefers the last row, then the others in order."""
    if not all(hasattr(row, "workflow_execution") for row in rows):
        return rows  # only some columns, to count or to look through
    latest = sorted(rows, key=lambda row: (place(row), SEEN.setdefault(row.id, len(SEEN))), reverse=True)
    return latest[1:] + latest[:1]


SEEN = {}


def place(row):
    return list(row.workflow_execution.spec.get("tasks", ())).index(row.name)


def bring_order():
    """Decide what Mistral leaves open: in which order rows come, and tasks of one decision start."""
    unordered = workflow_base.WorkflowController._get_task_executions
    batches = db_api.get_completed_task_executions_as_batches
    workflow_base.WorkflowController._get_task_executions = lambda self, **kwargs: newest_last_defined(
        unordered(self, **kwargs)
    )
    db_api.get_completed_task_executions_as_batches = lambda **kwargs: iter(
        [newest_last_defined([row for batch in batches(**kwargs) for row in batch])]
    )
    dispatcher._compare_task_commands = lambda one, other: 0


def set_up():
    """Bring Mistral up with a database in memory; return its engine and the list of asynchronous runs."""
    cfg.CONF(args=[], default_config_files=[])
    for name, value, group in (
        ("only_builtin_actions", True, "legacy_action_provider"),
        ("load_action_generators", False, "legacy_action_provider"),
        ("type", "local", "executor"),
        ("execution_integrity_check_delay", -1, "engine"),
        ("connection", "sqlite://", "database"),
    ):
        cfg.CONF.set_override(name, value, group)
    cfg.CONF.set_override("auth_enable", False, "pecan")
    for validator in (jsonschema.Draft202012Validator, jsonschema.Draft4Validator):
        validator.check_schema = lambda schema, **_: None  # Mistral's own schemas: nine tenths of the time it takes
    db_api.setup_db()
    context.set_ctx(CONTEXT)
    client = Client()
    clients.get_engine_client = lambda: client
    post_tx_queue.threading = type("threading", (), {"Thread": Thread})
    default_executor.ThreadWithException = ThreadAtOnce
    executor = Executor()
    executors.get_executor = lambda kind: executor
    scheduler = Scheduler()
    schedulers.get_system_scheduler = lambda: scheduler
    bring_order()
    action_service.get_system_action_provider()
    return client.engine, executor.started

"""What a worker runs: an action is a Python callable, found by its name.

    def build(target):                   the input of the task, by name
    def build(context, target):          the same for who asks to be told of the task

What it returns is the result, an exception is the failure of the task.  Packages make theirs known in the entry-point
group `lazyengine.actions`, as in `ci.build = my_package:build`.
"""

from lazyengine.actions.contract import ActionFailed, Context, Handler, Later, handler_of
from lazyengine.actions.loading import load

__all__ = ["ActionFailed", "Context", "Handler", "Later", "handler_of", "load"]

"""A TaskFlow flow through the library door: long tasks are completed from outside, here by another controller.

Run it with ``pip install lazyengine[taskflow]``.
"""

import tempfile
from pathlib import Path

from taskflow import task
from taskflow.patterns import linear_flow

from lazyengine.controller import Controller


class Order(task.Task):
    default_provides = "order"

    def execute(self, item):
        return {"item": item, "price": 3}


class Approve(task.Task):
    """A person has to say yes: returning None leaves it to `complete_task`."""

    default_provides = "approval"

    def execute(self, order):
        print(f"waiting for an approval of {order}")


class Ship(task.Task):
    def execute(self, order, approval):
        print(f"shipping {order['item']}, approved by {approval['by']}")
        return "shipped"


def shop():
    return linear_flow.Flow("shop").add(Order(), Approve("approve"), Ship("ship"))


def main():
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory) / 'flows.db'}"
        with Controller(url) as controller:
            execution = controller.start(shop, store={"item": "tea"})
        with Controller(url, flows=[shop]) as another:  # it might be another process, a month later
            print(another.get_state(execution))
            another.complete_task(execution, "approve", {"by": "ann"})
        with Controller(url, executor=None) as reader:
            print(reader.get_state(execution))


if __name__ == "__main__":
    main()

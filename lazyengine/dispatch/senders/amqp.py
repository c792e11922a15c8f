"""Tasks into a queue of RabbitMQ, or of what else kombu speaks to."""

from kombu import Queue

from lazyengine.dispatch.senders.broker import Broker
from lazyengine.dispatch.wire import Wire
from lazyengine.records import Errand
from lazyengine.targets import Target


class AmqpSender:
    """Puts assignments, as JSON, into a durable queue that it declares."""

    def __init__(self, target: Target, wire: Wire) -> None:
        self.queue = target.queue or target.name
        self.broker, self.wire = Broker(target.url, target.timeout_seconds), wire

    def send(self, errand: Errand) -> None:
        """Publish a task, persistent; what cannot be routed to a queue comes back, and is a failure."""
        body = self.wire.encode(self.wire.document(errand))
        headers = {"traceparent": errand.assignment.traceparent} if errand.assignment.traceparent else {}
        self.broker.publish(
            lambda producer: producer.publish(
                body,
                exchange="",
                routing_key=self.queue,
                declare=[Queue(self.queue, durable=True)],
                content_type="application/json",
                content_encoding="utf-8",
                delivery_mode="persistent",
                mandatory=True,
                message_id=errand.id,
                type="lazyengine.assignment",
                headers=headers,
            )
        )

    def close(self) -> None:
        """Let go of the connection."""
        self.broker.close()

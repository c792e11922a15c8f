"""A connection to a message broker that is made when it is needed, and made anew when it broke."""

from collections.abc import Callable
from typing import Any

from kombu import Connection
from kombu.exceptions import OperationalError

from lazyengine.dispatch.senders import DestinationAway, SendingFailed


class Broker:
    """A connection to a broker for one thread.

    RabbitMQ confirms what it has taken and stored; with Redis, a message is taken when it is in the list.

    :param url: as kombu takes it
    :param timeout_seconds: how long connecting, or one publication and its confirmation, may take
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self.url, self.timeout_seconds = url, timeout_seconds
        self._connection: Any = None
        self._producer: Any = None

    def publish(self, publication: Callable[[Any], object]) -> None:
        """Call `publication` with a producer; once more with a new one if the connection had broken meanwhile.

        :raises SendingFailed: the broker refuses this message
        :raises DestinationAway: the broker cannot be reached
        """
        had_connection = self._producer is not None
        try:
            self._attempt(publication)
        except DestinationAway:
            if not had_connection:
                raise
            self._attempt(publication)

    def _attempt(self, publication: Callable[[Any], object]) -> None:
        try:
            publication(self._connected())
        except self._lost as error:
            self.close()
            raise DestinationAway(f"{type(error).__name__}: {error}") from error
        except self._refused as error:
            self.close()  # a channel is closed by what it refuses
            raise SendingFailed(f"{type(error).__name__}: {error}") from error

    def _connected(self) -> Any:
        if self._connection is None:
            options: dict[str, Any] = {}
            if self.url.startswith(("amqp:", "amqps:", "pyamqp:")):
                options = {
                    "confirm_publish": True,
                    "read_timeout": self.timeout_seconds,
                    "write_timeout": self.timeout_seconds,
                }
            elif self.url.startswith(("redis:", "rediss:")):
                options = {"socket_timeout": self.timeout_seconds, "socket_connect_timeout": self.timeout_seconds}
            self._connection = Connection(
                self.url, connect_timeout=self.timeout_seconds, transport_options=options, heartbeat=0
            )
        if self._producer is None:
            self._connection.ensure_connection(max_retries=1, timeout=self.timeout_seconds)
            self._producer = self._connection.Producer(auto_declare=False)
        return self._producer

    @property
    def _lost(self) -> tuple[type[BaseException], ...]:
        known = self._connection.recoverable_connection_errors if self._connection is not None else ()
        return (OSError, OperationalError, *known)

    @property
    def _refused(self) -> tuple[type[BaseException], ...]:
        return tuple(self._connection.channel_errors) if self._connection is not None else ()

    def close(self) -> None:
        """Let go of the connection; the next publication makes another."""
        if self._connection is not None:
            try:
                self._connection.release()
            except (*self._lost, *self._refused):
                pass  # it was broken
        self._connection = self._producer = None

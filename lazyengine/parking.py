"""A gunicorn worker that keeps the connections of requests which wait, without a thread for each.

It is gunicorn's worker with threads, but for this: a request that raised `Parked` is put aside, its body kept.  When it
is called, or its time is up, it is handed to the threads once more, and runs again from its beginning.  Half of the
threads at most are at such requests at a time, so that a crowd which is called at once leaves the others to the rest.
Whose caller hangs up is dropped; when the worker ends, everybody is answered with what there is.

Apart from what `Stay.wake` does, nothing here is done by another thread than the worker's main loop, except for running
requests.
"""

import heapq
import logging
import select
import selectors
import socket
import time
from functools import partial
from itertools import count
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from lazyengine.api.waiting import STAY, Parked, Stay
from lazyengine.balancing import HEADCOUNT, MOMENT_SECONDS, MOST_MOMENTS
from lazyengine.messages import KeptBody, Response, take_over

LOG = logging.getLogger("lazyengine.api")
SLOWEST_PIECE_SECONDS = 10.0
"""How long a caller may take to read a piece of an answer that goes on."""
LINGER_MILLISECONDS = 1
"""How long a thread stays for the next request of a caller, while nobody else waits for a thread."""


class Again:
    """Stands in for the parser of a connection until it is asked once: it gives the parked request again."""

    def __init__(self, connection: Any, request: Any) -> None:
        self._connection, self._parser, self._request = connection, connection.parser, request

    def __next__(self) -> Any:
        self._connection.parser = self._parser
        return self._request


class ParkingWorker(ThreadWorker):  # type: ignore[misc]
    """The worker; see above."""

    wsgi: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.most_running = max(1, self.cfg.threads // 2)
        self.parked: dict[Stay, Any] = {}  # the connection of each that is put aside
        self.called: dict[Stay, None] = {}  # in order, who of these is to run again
        self.running: set[Stay] = set()  # who runs again
        self.deadlines: list[tuple[Any, int, Stay]] = []  # a heap
        self.number = count()
        self.queued: set[Any] = set()  # connections whose request waits for a thread
        self.moments = 0  # how often it looked away from a connection that waits

    def init_process(self) -> None:
        """Serve.  Gunicorn looks its settings up dozens of times a request: from now on they are plain attributes.

        Measured: 15 of the 80 microseconds of CPU that gunicorn takes for a request.
        """
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().init_process()

    # -- in the threads -----------------------------------------------------------------------------------------------

    def handle(self, conn: Any) -> Any:
        """Handle a request, and those that follow at once: the way over the main loop would wake two threads for each.

        Measured with `bench/put.py`, 8 connections: a fifth of the CPU of the worker less.
        """
        self.queued.discard(conn)
        goes_on = super().handle(conn)
        take_over(conn.parser)
        while goes_on is True and self._is_followed(conn):
            goes_on = super().handle(conn)
        return goes_on

    def _is_followed(self, conn: Any) -> bool:
        stay: Stay | None = conn.stay
        if self.queued or not self.alive or self.cfg.is_ssl or conn.is_http2 or stay is None:
            return False
        if stay.room or stay.request or stay.stream or conn.parser.unreader.buf.getvalue():
            return False
        poll = select.poll()
        poll.register(conn.sock, select.POLLIN)
        conn.stay = None
        return bool(poll.poll(LINGER_MILLISECONDS))

    def load_wsgi(self) -> None:
        """Load the application."""
        super().load_wsgi()
        self.wsgi = partial(run, self.wsgi)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Run a request, for the first time or again."""
        stay: Stay = getattr(conn, "stay", None) or self._new_stay()
        conn.stay = stay
        if stay.stream is not None:
            return self._go_on(stay)
        token = STAY.set(stay)
        req.body = stay.body = KeptBody(req.body)
        try:
            goes_on: bool = super().handle_request(req, conn)
        except Parked:
            req.body = req.body.again()
            req._expected_100_continue = False  # it was told once
            stay.request = req
            raise
        finally:
            STAY.reset(token)
        return goes_on

    def _new_stay(self) -> Stay:
        stay = Stay(lambda: self.method_queue.defer(self.call, stay))
        return stay

    def _go_on(self, stay: Stay) -> bool:
        """Go on with an answer that has begun."""
        response = stay.response
        response.sock.settimeout(SLOWEST_PIECE_SECONDS)
        try:
            for piece in stay.stream:
                response.write(piece)
            response.close()
        except OSError:
            return False
        except Exception:
            LOG.exception("an answer broke off")
            return False
        return not response.should_close()

    # -- in the main loop ---------------------------------------------------------------------------------------------

    def accept(self, listener: Any) -> None:
        """Accept a connection, unless another worker has fewer (`lazyengine.balancing`)."""
        if self.moments < MOST_MOMENTS and HEADCOUNT.anybody_below(self.nr_conns):
            self.moments += 1
            time.sleep(MOMENT_SECONDS)
            return
        self.moments = 0
        super().accept(listener)
        HEADCOUNT.tell(self.age, self.nr_conns)

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to the threads."""
        self.queued.add(conn)
        super().enqueue_req(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Put a request aside that waits; otherwise do as any worker does."""
        stay: Any = getattr(conn, "stay", None)
        self.running.discard(stay)
        if not fs.cancelled() and isinstance(fs.exception(), Parked):
            self.park(conn, stay)
        elif stay is None or stay.request is None:
            if stay is not None:
                stay.leave()  # it had entered the room, and found an answer when it asked again
            conn.stay = None
            super().finish_request(conn, fs)
        else:
            stay.leave()
            conn.stay = None
            if fs.cancelled() or fs.exception() or fs.result():
                super().finish_request(conn, fs)
            else:  # nothing of it is left to be read, so there is no need to linger, which would hold up everybody
                self.nr_conns -= 1
                conn.close()
        self.run_called()

    def park(self, conn: Any, stay: Stay) -> None:
        """Put a request aside, and watch its connection."""
        self.parked[stay] = conn
        heapq.heappush(self.deadlines, (stay.deadline, next(self.number), stay))
        conn.sock.setblocking(False)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_parked_socket_readable, stay))
        if stay.is_called or not self.alive:
            self.call(stay)

    def on_parked_socket_readable(self, stay: Stay, client: Any) -> None:
        """Drop a request whose caller hung up; one who sends more is looked at afterwards."""
        if stay not in self.parked:
            return  # called a moment ago
        self.poller.unregister(client)
        try:
            is_gone = not client.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, ValueError):  # nothing yet; encrypted, so that nobody can tell
            is_gone = False
        except OSError:
            is_gone = True
        if is_gone:
            conn = self.parked.pop(stay)
            stay.leave()
            self.nr_conns -= 1
            conn.close()

    def call(self, stay: Stay) -> None:
        """Let a request run again as soon as there is a thread for it."""
        if stay in self.parked:
            self.called[stay] = None
            self.run_called()

    def run_called(self) -> None:
        """Hand those who were called to the threads, as many as may be there at a time."""
        while self.called and len(self.running) < self.most_running:
            stay = next(iter(self.called))
            del self.called[stay]
            conn = self.parked.pop(stay, None)
            if conn is None:
                continue  # hung up
            if conn.sock in self.poller.get_map():
                self.poller.unregister(conn.sock)
            stay.is_over = not self.alive
            conn.parser = Again(conn, stay.request)
            self.running.add(stay)
            self.enqueue_req(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, not longer than somebody's time is up."""
        if self.alive:
            HEADCOUNT.tell(self.age, self.nr_conns)
        else:
            HEADCOUNT.leave(self.age)
        if not self.alive:
            for stay in list(self.parked):
                self.call(stay)
        if self.deadlines:
            timeout = min(timeout, max(0.0, self.deadlines[0][0] - time.monotonic()))
        super().wait_for_and_dispatch_events(timeout)
        now = time.monotonic()
        while self.deadlines and self.deadlines[0][0] <= now:
            self.call(heapq.heappop(self.deadlines)[2])


def run(app: Any, environ: Any, start_response: Any) -> Any:
    """Call the application with its response, whose method `start_response` is, made one of ours, and kept to go on."""
    stay = STAY.get()
    if stay is not None:
        stay.response = start_response.__self__
        stay.response.__class__ = Response
    return app(environ, start_response)

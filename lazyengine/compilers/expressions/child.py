"""The evaluator's process: reads batches of jobs from a socket and answers each of them, inside limits.

    python -m lazyengine.compilers.expressions.child FD SECONDS MEMORY_BYTES RESULT_BYTES

It holds no secret and can open nothing: its environment is empty, and once it has its limits no file and no socket
can be opened any more.  It ends with its socket, and with an alarm where a batch outlasts SECONDS by one, in case
nobody is left to kill it.

A batch is a list of [view, [[language, text], …]], the view as a text;
the answer to each job is a frame of its own: `{"values": [...]}` or `{"error": reason, "at": text, "message": why}`.
"""

import contextlib
import json
import resource
import signal
import socket
import sys
from typing import Any

from lazyengine.compilers.expressions.evaluation import Evaluation, Failure
from lazyengine.compilers.expressions.frames import LENGTH
from lazyengine.compilers.expressions.values import encoded

LONGEST_MESSAGE = 500


def main() -> None:
    descriptor, seconds, memory_bytes, result_bytes = (float(arg) for arg in sys.argv[1:])
    with socket.socket(fileno=int(descriptor)) as parent:
        _warm_up()
        _limit(int(memory_bytes))
        parent.sendall(LENGTH.pack(0))
        while (batch := _read(parent)) is not None:
            signal.setitimer(signal.ITIMER_REAL, seconds + 1.0)
            for said, texts in json.loads(batch):
                answer, lost = answer_of(said, texts, int(result_bytes))
                parent.sendall(LENGTH.pack(len(answer)) + answer)
                if lost:
                    return
            signal.setitimer(signal.ITIMER_REAL, 0)


def answer_of(said: str, texts: list[tuple[str, str]], result_bytes: int) -> tuple[bytes, bool]:
    """Answer one job; also tell whether this process ran out of memory, and had better end."""
    source = ""
    try:
        evaluation = Evaluation(said)
        values = []
        for language, source in texts:
            value = encoded(evaluation.value_of(language, source))
            values.append(value)
            if sum(map(len, values)) > result_bytes:
                return _error("size", source, f"its value is larger than {result_bytes} bytes"), False
        return b'{"values":[' + b",".join(values) + b"]}", False
    except Failure as failure:
        reason = "memory" if failure.is_memory else "failed"
        return _error(reason, failure.source, str(failure)), failure.is_memory
    except MemoryError:
        return _error("memory", source, ""), True
    except Exception as error:
        return _error("failed", source, str(error)), False


def _error(reason: str, source: str, message: str) -> bytes:
    said = {"error": reason, "at": source, "message": message[:LONGEST_MESSAGE]}
    return json.dumps(said).encode()


def _read(parent: socket.socket) -> bytes | None:
    head = parent.recv(LENGTH.size, socket.MSG_WAITALL)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    return parent.recv(length, socket.MSG_WAITALL)


def _warm_up() -> None:
    """Evaluate once what imports or opens something at its first use."""
    jobs: list[Any] = [
        ("yaql", "<% now().format('%Y') + '1'.matches('1') + uuid() + yaml_dump([now(), localtz()]) %>"),
        ("yaql", "<% datetime('2020-01-01T00:00:00Z') %>"),
        ("yaql", "<% $.missing %>"),
        ("jinja", "{{ lipsum(n=1) + ('a' | urlize) + ('a' | tojson) + yaml_parse('2020-01-01') | string }}"),
        ("jinja", "{{ _.missing }} {{ 1 / 0 }}"),
        ("jinja", "{% for x in [1] %}{{ x.missing }}{% endfor %}"),
    ]
    for job in jobs:
        answer_of('{"variables":{},"execution":{"id":""}}', [job], 1_000_000)


def _limit(memory_bytes: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # where the system has no such bound, the deadline is left
        with open("/proc/self/statm") as sizes:
            pages = int(sizes.read().split()[0])
        limit = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


if __name__ == "__main__":
    main()

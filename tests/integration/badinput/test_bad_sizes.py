"""Bodies of 20 MiB and more, declared, in chunks, and cut off: refused before they are read or parsed."""

import io
import json

import pytest

from lazyengine.api import middleware
from lazyengine.errors import RequestInvalid
from tests.integration.badinput.attacker import refused, works

LIMIT = 8 * 1024 * 1024
BIG = 20 * 1024 * 1024
HEAD = b"POST /executions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def chunks(total, size=64 * 1024):
    """The chunks of a body in `Transfer-Encoding: chunked`, one by one."""
    for _ in range(total // size):
        yield b"%x\r\n" % size + b"x" * size + b"\r\n"
    yield b"0\r\n\r\n"


def test_20_mib_declared_are_refused_unread(attacker):
    """Nobody waits for a body whose length is too much already: the answer is there before a byte of it was sent."""
    head = HEAD + b"Content-Length: %d\r\n\r\n" % BIG
    refused(attacker.raw(head), 413, "request.too_large", within_seconds=2)


def test_20_mib_declared_and_sent(attacker):
    """A client that sends on regardless gets its 413, or finds the connection closed; the service reads no more."""
    head = HEAD + b"Content-Length: %d\r\n\r\n" % BIG
    answer = attacker.raw(head, *[b"x" * 65_536] * (BIG // 65_536))
    assert answer.status in (0, 413)
    assert answer.seconds < 10


def test_20_mib_in_chunks(attacker):
    """Without a declared length, reading stops where the limit is passed."""
    answer = attacker.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *chunks(BIG))
    assert answer.status in (0, 413)
    assert answer.seconds < 10


def test_just_too_much_in_chunks(attacker):
    """One chunk over the limit is a 413 that the caller can read."""
    answer = attacker.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *chunks(LIMIT + 64 * 1024))
    refused(answer, 413, "request.too_large")


def test_one_byte_too_much(attacker):
    """The limit is exact: 8 MiB are read (and are no JSON), one byte more is not."""
    refused(attacker.post(b"x" * LIMIT), 400, "request.invalid")
    refused(attacker.post(b"x" * (LIMIT + 1)), 413, "request.too_large")


def test_a_body_of_8_mib_works(attacker):
    """A result as large as a body may be is stored and comes back."""
    execution = works(attacker.start({"a": {}}))
    path = f"/executions/{execution['id']}/tasks/a"
    result = "x" * (LIMIT - 1_000)
    works(attacker.put(path, {"state": "SUCCESS", "result": result}), 200)
    assert works(attacker.send("GET", path), 200)["result"] == result


def test_a_body_in_chunks_of_one_byte_works(attacker):
    """However small the pieces, a body in chunks is a body."""
    body = json.dumps({"definition": {"w": {"tasks": {"a": {}}}}}).encode()
    pieces = [b"1\r\n%c\r\n" % byte for byte in body]
    works(attacker.raw(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n", *pieces, b"0\r\n\r\n"))


@pytest.mark.parametrize("extension", [b"0\r\n\r\n", b"0;x=" + b"y" * 1_000 + b"\r\n\r\n"], ids=["no", "an extension"])
def test_an_empty_body_in_chunks(attacker, extension):
    """No chunk at all is an empty body, which is no JSON."""
    answer = attacker.raw(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n", extension)
    refused(answer, 400, "request.invalid")


@pytest.mark.parametrize("chunk", [b"zz\r\nx\r\n", b"-1\r\nx\r\n", b"5\r\nxx", b"ffffffffffffffffffff\r\nx\r\n"])
def test_broken_chunks(attacker, chunk):
    """Chunks that are none are a 400; what they cut off is never taken for the whole."""
    answer = attacker.raw(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n", chunk, b"0\r\n\r\n")
    assert answer.status == 400, answer


def test_a_body_that_trickles(monkeypatch):
    """Piece by piece for ever is too slow as well: reading ends behind the piece that comes too late."""
    monkeypatch.setattr(middleware, "SLOWEST_SECONDS", 0.0)
    with pytest.raises(RequestInvalid, match="could not be read"):
        middleware.LimitedInput(io.BytesIO(b"{}"), 2, LIMIT).read()

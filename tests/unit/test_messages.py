"""What is ours of gunicorn's messages does what gunicorn's own does."""

import io
import logging
import socket

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import Response as GunicornsResponse

from lazyengine.messages import KeptBody, Parser, Response, take_over

HEAD = b"PUT /a HTTP/1.1\r\nHost: b\r\nX-Forwarded-Proto: https\r\nContent-Length: 5\r\n\r\n"


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def parser_of(sock, host="127.0.0.1") -> RequestParser:
    parser = RequestParser(Config(), sock, (host, 1234))
    take_over(parser)
    return parser


def next_of(parser):
    request = next(parser)
    request.body = KeptBody(request.body)
    return request


def test_what_was_read_to_its_end_is_followed_by_the_next_request(ends):
    ours, theirs = ends
    theirs.sendall((HEAD + b"12345") * 2)
    parser = parser_of(ours)
    assert type(parser) is Parser
    for _ in range(2):
        request = next_of(parser)
        assert request.body.is_here
        assert not request.body.is_read
        assert request.body.read(5) == b"12345"
        assert request.body.is_read
        assert parser.finish_body(deadline=0.0)


@pytest.mark.parametrize("size", [0, 3])
def test_what_was_not_read_is_drained(ends, size):
    ours, theirs = ends
    theirs.sendall((HEAD + b"12345") * 2)
    parser = parser_of(ours)
    body = next_of(parser).body
    body.read(size)
    assert not body.is_read
    assert next_of(parser).body.read(5) == b"12345"


def test_a_body_that_is_read_again_is_left_to_gunicorn():
    """That of a request which has waited: it is no body of a connection any more."""
    body = KeptBody(io.BytesIO(b"12345"))
    assert not body.is_here
    assert body.read() == b"12345"
    assert not body.is_read


def test_what_is_on_its_way_is_not_here(ends):
    ours, theirs = ends
    theirs.sendall(HEAD + b"123")
    parser = parser_of(ours)
    body = next_of(parser).body
    assert not body.is_here
    ours.settimeout(0.01)
    assert not parser.finish_body(deadline=0.0)


def test_a_body_in_chunks_is_never_taken_for_read(ends):
    ours, theirs = ends
    theirs.sendall(b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + HEAD + b"12345")
    parser = parser_of(ours)
    body = next_of(parser).body
    assert (body.is_here, body.is_read) == (False, False)
    assert next_of(parser).body.read(5) == b"12345"


@pytest.mark.parametrize(("host", "scheme"), [("127.0.0.1", "https"), ("192.0.2.1", "http")])
def test_only_a_trusted_proxy_says_the_scheme(ends, host, scheme):
    ours, theirs = ends
    theirs.sendall((HEAD + b"12345") * 2)
    parser = parser_of(ours, host)
    assert [next_of(parser).scheme for _ in range(2)] == [scheme, scheme]


def test_another_kind_of_parser_is_left_alone():
    other = object()
    take_over(other)
    assert type(other) is object


@pytest.mark.parametrize("headers", [[], [("Content-Length", "2")], [("Connection", "upgrade")]])
@pytest.mark.parametrize("is_last", [True, False])
def test_a_head_has_the_lines_of_gunicorn(ends, headers, is_last, monkeypatch):
    ours, theirs = ends
    theirs.sendall(HEAD + b"12345")
    request = next_of(parser_of(ours))
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.9)
    heads = []
    for kind in (Response, GunicornsResponse):
        response = kind(request, ours, request.cfg)
        if is_last:
            response.force_close()
        response.start_response("201 Created", headers)
        heads.append("".join(response.default_headers()))
    assert heads[0] == heads[1]


def test_a_line_of_the_log_has_the_time_as_logging_writes_it():
    from lazyengine.serving import LineFormatter

    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    ours, theirs = LineFormatter(form), logging.Formatter(form)
    for created in (1_800_000_000.0, 1_800_000_000.9995, 1_800_000_059.001, 1_800_000_000.25):
        record = logging.LogRecord("n", logging.INFO, "", 0, "said %s", ("x",), None)
        record.created, record.msecs = created, int((created - int(created)) * 1000) + 0.0
        assert ours.format(record) == theirs.format(record)

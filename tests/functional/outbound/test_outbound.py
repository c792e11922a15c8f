"""What goes out and what does not: real sockets on loopback, and names that resolve as a test says."""

import gzip
import socket
import ssl
import threading
import time

import pytest
import trustme

from lazyengine.errors import OutboundFailed, OutboundRefused, OutboundTooLarge, SettingsInvalid
from lazyengine.outbound import Outbound

LOOPBACK = ("127.0.0.0/8",)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """A server of one thread that answers every connection with the same bytes and keeps what it was asked."""

    def __init__(self, answer, context=None, family=socket.AF_INET, host="127.0.0.1"):
        self.answer, self.context, self.asked = answer, context, []
        self.listener = socket.create_server((host, 0), family=family)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                try:
                    if self.context:
                        sock = self.context.wrap_socket(sock, server_side=True)
                    self.asked.append(self.read(sock))
                    answer = self.answer
                    for part in [answer] if isinstance(answer, bytes) else answer():
                        sock.sendall(part)
                except OSError:
                    pass
                finally:
                    sock.close()

    def read(self, sock):
        """Read a request to its end: what is not read would break the connection off."""
        asked = sock.recv(65536)
        while asked.startswith(b"POST") and not asked.endswith((b"{}", b"body")):
            asked += sock.recv(65536)
        return asked

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


@pytest.fixture
def peer():
    peers = []

    def start(answer=OK, **options):
        peers.append(Peer(answer, **options))
        return peers[-1]

    yield start
    for one in peers:
        one.close()


@pytest.fixture
def names(monkeypatch):
    """Names that resolve to the addresses of a list, one entry for each time they are asked for."""
    answers, real = {}, socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if host not in answers:
            return real(host, port, *args, **kwargs)
        found = answers[host].pop(0)
        return [entry for address in found for entry in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return answers


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "0.0.0.0",
        "localhost",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[fec0::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::7f00:1]",
        "[2001:0:7f00:1::]",
        "[2001:db8::1]",
        "[100::1]",
    ],
)
def test_what_is_not_public_is_refused(host):
    """However an address is written, and whatever it is wrapped in."""
    with pytest.raises(OutboundRefused):
        Outbound().request("GET", f"http://{host}:9/", timeout_seconds=5)


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_what_is_public_is_called(host, names, monkeypatch):
    """The refusals are no refusal of everything."""
    called = []

    def connect(place, timeout):
        called.append(place)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    names["there.example"] = [[host]]
    with pytest.raises(OutboundFailed):
        Outbound().request("GET", "http://there.example/")
    assert [(str(address), port) for address, port in called] == [(called[0][0], 80)]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://example.org/",
        "//example.org/",
        "example.org",
        "",
        "http://",
        "http:///path",
        "http://[::1",
        "http://user:secret@example.org/",
        "http://127.0.0.1:1@example.org/",
        "http://example.org\\@127.0.0.1/",
        "http://ex ample.org:99999/",
    ],
)
def test_what_is_no_plain_url_of_http_is_refused(url):
    """And the refusal does not repeat what may be a secret."""
    with pytest.raises((OutboundRefused, OutboundFailed)) as refusal:
        Outbound(("0.0.0.0/0", "::/0")).request("GET", url, timeout_seconds=2)
    assert "secret" not in str(refusal.value)


def test_what_is_allowed_is_called(peer):
    """A network of the list opens what is in it, in each way to write it, and nothing else."""
    server = peer()
    for host in ("127.0.0.1", "2130706433", "[::ffff:127.0.0.1]"):
        assert Outbound(LOOPBACK).request("GET", f"http://{host}:{server.port}/").body == b"ok"
    with pytest.raises(OutboundRefused):
        Outbound(("127.0.0.2/32", "10.0.0.0/8")).request("GET", f"http://127.0.0.1:{server.port}/")
    with pytest.raises(SettingsInvalid, match="outbound_allow"):
        Outbound(("127.0.0.1/8",))


def test_the_address_that_was_checked_is_the_one_that_is_called(peer, names):
    """A name that resolves to something else the second time is asked for once (DNS rebinding)."""
    allowed, other = peer(), peer(host="127.0.0.2")
    names["rebinding.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    url = f"http://rebinding.example:{allowed.port}/"
    assert Outbound(("127.0.0.1/32",)).request("GET", url).body == b"ok"
    assert b"Host: rebinding.example" in allowed.asked[0]
    assert not other.asked
    assert len(names["rebinding.example"]) == 1
    with pytest.raises(OutboundRefused):
        Outbound(("127.0.0.1/32",)).request("GET", url)


def test_of_several_addresses_only_those_that_may_be_called_are(peer, names):
    """A private address among public ones is passed over."""
    server = peer()
    names["two.example"] = [["10.0.0.1", "127.0.0.1"]]
    assert Outbound(LOOPBACK).request("GET", f"http://two.example:{server.port}/", timeout_seconds=3).status == 200


def redirect(where, status=302):
    return f"HTTP/1.1 {status} Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()


def test_a_redirect_is_an_answer(peer):
    """Nothing follows it unless it is told to."""
    server = peer(redirect("http://169.254.169.254/"))
    answer = Outbound(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}/")
    assert (answer.status, answer.headers["location"]) == (302, "http://169.254.169.254/")
    assert len(server.asked) == 1


def test_a_redirect_is_followed_within_its_origin_only(peer):
    """To another path, but to no other host, port or scheme, allowed or not; and not for ever."""
    other = peer()
    outbound = Outbound(LOOPBACK)
    for there in (f"http://127.0.0.1:{other.port}/", "http://169.254.169.254/", "file:///etc/passwd"):
        server = peer(redirect(there))
        with pytest.raises(OutboundRefused):
            outbound.request("GET", f"http://127.0.0.1:{server.port}/", follow=True)
    assert not other.asked
    around = peer(redirect("/again"))
    with pytest.raises(OutboundFailed, match="redirects"):
        outbound.request("GET", f"http://127.0.0.1:{around.port}/", follow=True)
    turns = iter([redirect("/there", 303), OK])
    server = peer(lambda: [next(turns)])
    answer = outbound.request("POST", f"http://127.0.0.1:{server.port}/", b"body", follow=True)
    assert (answer.status, answer.history) == (200, ((303, f"http://127.0.0.1:{server.port}/"),))
    assert server.asked[1].startswith(b"GET /there ")


def drip(head):
    def parts():
        yield head
        while True:
            time.sleep(0.1)
            yield b"x"

    return parts


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["status", "header", "body", "body without length"],
)
def test_the_time_is_for_all_of_it(peer, head):
    """A byte now and then keeps nobody waiting longer, wherever in the answer it comes."""
    server = peer(drip(head))
    began = time.monotonic()
    with pytest.raises(OutboundFailed, match="too long"):
        Outbound(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}/", timeout_seconds=0.6)
    assert time.monotonic() - began < 2


def test_a_handshake_that_never_ends_ends(peer):
    """TLS is within the time, too: what answers a greeting with a slow record is left."""
    server = peer(drip(b"\x16\x03\x03\x3f\xff"))
    began = time.monotonic()
    with pytest.raises(OutboundFailed, match="too long"):
        Outbound(LOOPBACK).request("GET", f"https://127.0.0.1:{server.port}/", timeout_seconds=0.6)
    assert time.monotonic() - began < 2


def test_a_name_that_nobody_resolves_takes_no_longer(monkeypatch):
    """The resolver of the system has timeouts of its own, which do not count."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3))
    began = time.monotonic()
    with pytest.raises(OutboundFailed, match="resolved"):
        Outbound().request("GET", "http://slow.example/", timeout_seconds=0.3)
    assert time.monotonic() - began < 1


def endless(head):
    def parts():
        yield head
        while True:
            yield b"x" * 65536

    return parts


def test_a_body_is_bounded(peer):
    """With a length and without one; one byte less is taken."""
    outbound = Outbound(LOOPBACK)
    server = peer(endless(b"HTTP/1.1 200 OK\r\n\r\n"))
    with pytest.raises(OutboundTooLarge, match="1000000"):
        outbound.request("GET", f"http://127.0.0.1:{server.port}/", max_bytes=1_000_000)
    exact = peer(OK)
    with pytest.raises(OutboundTooLarge):
        outbound.request("GET", f"http://127.0.0.1:{exact.port}/", max_bytes=1)
    assert outbound.request("GET", f"http://127.0.0.1:{exact.port}/", max_bytes=2).body == b"ok"


def test_a_packed_body_is_bounded_as_unpacked(peer):
    """A gzip bomb of 200 MB costs what the bound says, and a packed body that is small is unpacked."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    bomb, small = gzip.compress(bytes(200_000_000), 9), gzip.compress(b"small")
    server = peer(head % len(bomb) + bomb)
    with pytest.raises(OutboundTooLarge):
        Outbound(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}/", max_bytes=1_000_000)
    server = peer(head % len(small) + small)
    assert Outbound(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}/").body == b"small"


def test_an_answer_that_breaks_off_or_is_none_fails(peer):
    """Half a body is no answer."""
    for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"", b"SSH-2.0-x\r\n"):
        server = peer(answer)
        with pytest.raises(OutboundFailed):
            Outbound(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}/")


def test_the_environment_names_no_proxy(peer, monkeypatch):
    """A proxy would resolve the name again."""
    proxy, server = peer(), peer()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert Outbound(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}/").status == 200
    assert not proxy.asked


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET /other HTTP/1.1\r\nX:", "/", {}),
        ("GET", "/", {"X": "a\r\nSecret: b"}),
        ("GET", "/", {"X\r\nSecret": "b"}),
        ("GET", "/", {"X": "snow ☃ secret"}),
    ],
)
def test_no_line_can_be_slipped_in(peer, method, path, headers):
    """Neither by the method nor by a header, and the message does not repeat it."""
    server = peer()
    with pytest.raises((OutboundRefused, OutboundFailed)) as refusal:
        Outbound(LOOPBACK).request(method, f"http://127.0.0.1:{server.port}{path}", headers=headers)
    assert "ecret" not in str(refusal.value)
    assert not any(b"ecret" in asked for asked in server.asked)


def test_a_path_with_line_ends_stays_a_path(peer):
    server = peer()
    Outbound(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}/a\r\nX: b c")
    assert server.asked[0].startswith(b"GET /a%0D%0AX:%20b%20c HTTP/1.1\r\n")


@pytest.fixture
def authority(monkeypatch, tmp_path):
    """An authority that this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


def context(certificate):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    return made


def test_the_certificate_is_for_the_name_and_not_for_the_address(peer, names, authority):
    """The connection goes to a pinned address, and TLS asks and checks the name all the same."""
    asked = []
    made = context(authority.issue_cert("there.example"))
    made.sni_callback = lambda sock, name, _: asked.append(name)
    server = peer(context=made)
    names |= {"there.example": [["127.0.0.1"]] * 2, "elsewhere.example": [["127.0.0.1"]]}
    outbound = Outbound(LOOPBACK)
    assert outbound.post(f"https://there.example:{server.port}/", b"{}", {"X": "y"}, 5).body == b"ok"
    assert asked == ["there.example"]
    with pytest.raises(OutboundFailed, match=r"elsewhere\.example.*certificate"):
        outbound.request("GET", f"https://elsewhere.example:{server.port}/")
    with pytest.raises(OutboundFailed, match="certificate"):
        outbound.request("GET", f"https://127.0.0.1:{server.port}/")


def test_a_certificate_of_an_address_and_one_of_nobody(peer, authority):
    """An address may have a certificate; one that nobody vouches for is taken only by who asks for that."""
    outbound = Outbound(LOOPBACK)
    server = peer(context=context(authority.issue_cert("127.0.0.1")))
    assert outbound.request("GET", f"https://127.0.0.1:{server.port}/").status == 200
    stranger = peer(context=context(trustme.CA().issue_cert("127.0.0.1")))
    with pytest.raises(OutboundFailed, match="certificate"):
        outbound.request("GET", f"https://127.0.0.1:{stranger.port}/")
    assert outbound.request("GET", f"https://127.0.0.1:{stranger.port}/", verify=False).status == 200

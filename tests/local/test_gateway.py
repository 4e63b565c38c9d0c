"""The gateway passes on what it gets, as it comes, and never half of it as a whole."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from infra.local.gateway import ReverseProxy
from infra.local.processes import free_port
from infra.local.table import Function
from tests.patience import PATIENCE_SECONDS

MIB = 2**20


class Upstream(ThreadingHTTPServer):
    """A function's process: the path says how it behaves."""

    daemon_threads = True
    request_queue_size = 256  # the default of 5 resets connections under load

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.broken_off = threading.Event()
        self.first_block = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_: object) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def echo(self) -> None:
        behaviour = self.path.partition("?")[0].rpartition("/")[2]
        if behaviour == "early":  # answers before it has read everything, like a 413
            self.rfile.read(10)
            self.send(413, b"too large")
            self.close_connection = True
            return
        if behaviour == "slow":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nfirst\r\n")
            self.server.first_block.wait(PATIENCE_SECONDS)
            self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")
            return
        if behaviour in ("cut", "cut-chunked"):
            self.send_response(200)
            if behaviour == "cut":
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"half")
            else:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"64\r\nhalf")
            self.close_connection = True
            return
        if behaviour == "empty":
            self.send_response(204)
            self.end_headers()
            return
        length = self.headers["Content-Length"]
        if self.headers["Transfer-Encoding"]:
            size = 0
            while count := int(self.rfile.readline(), 16):
                size += len(self.rfile.read(count))
                self.rfile.readline()
            self.rfile.readline()
        else:
            size = len(self.rfile.read(int(length or 0)))
            if size < int(length or 0):
                self.server.broken_off.set()
                return
        said = {
            "method": self.command,
            "path": self.path,
            "size": size,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
        }
        self.send(200, json.dumps(said).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = echo

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Thing", "one")
        self.send_header("X-Thing", "two")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def function(name: str, path: str) -> Function:
    return Function(
        name=name,
        description="",
        trigger="http",
        memory="512Mi",
        cpu=1,
        concurrency=1,
        timeout_seconds=30,
        min_instances=0,
        max_instances=1,
        ingress="public",
        paths=(path,),
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.shutdown()
    upstream.server_close()


@pytest.fixture(scope="module")
def port(upstream: Upstream) -> Iterator[int]:
    functions = {"echo": function("echo", "/echo/*"), "gone": function("gone", "/gone")}
    upstreams = {"echo": upstream.server_port, "gone": free_port()}
    gateway = ReverseProxy(("127.0.0.1", 0), functions, upstreams)
    threading.Thread(target=gateway.serve_forever, args=(0.05,), daemon=True).start()
    yield gateway.server_port
    gateway.shutdown()
    gateway.server_close()


@pytest.fixture
def client(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    yield connection
    connection.close()


def asked(client: http.client.HTTPConnection, *args: object, **kwargs: object) -> dict[str, object]:
    client.request(*args, **kwargs)  # type: ignore[arg-type]
    response = client.getresponse()
    assert response.status == 200
    value: dict[str, object] = json.loads(response.read())
    return value


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_method_path_and_query_pass_through(
    client: http.client.HTTPConnection, method: str
) -> None:
    said = asked(client, method, "/echo/a%20b?x=%2F&y")
    assert (said["method"], said["path"]) == (method, "/echo/a%20b?x=%2F&y")


def test_head_has_a_length_and_no_body(client: http.client.HTTPConnection) -> None:
    client.request("HEAD", "/echo/x")
    response = client.getresponse()
    assert int(response.headers["Content-Length"]) > 0
    assert response.read() == b""
    assert asked(client, "GET", "/echo/x")  # the connection is still in step


def test_headers_pass_through_except_those_of_one_connection(
    client: http.client.HTTPConnection, port: int
) -> None:
    said = asked(
        client,
        "GET",
        "/echo/x",
        headers={
            "Authorization": "Bearer t",
            "Connection": "keep-alive, X-Hop",
            "X-Hop": "1",
            "Keep-Alive": "5",
            "X-Forwarded-For": "10.0.0.9",
            "X-Forwarded-Proto": "gopher",
        },
    )
    assert isinstance(said["headers"], list)
    headers = dict(said["headers"])
    assert headers["authorization"] == "Bearer t"
    assert headers["host"] == f"127.0.0.1:{port}"
    assert headers["x-forwarded-for"] == "10.0.0.9, 127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert not {"x-hop", "keep-alive", "connection"} & set(headers)


def test_answers_keep_repeated_headers(client: http.client.HTTPConnection) -> None:
    client.request("GET", "/echo/x")
    response = client.getresponse()
    assert response.headers.get_all("X-Thing") == ["one", "two"]
    response.read()


def test_bodies_pass_through_with_a_length_and_in_chunks(
    client: http.client.HTTPConnection,
) -> None:
    body = bytes(5 * MIB + 1)
    assert asked(client, "POST", "/echo/x", body)["size"] == len(body)
    blocks = (bytes(70_000) for _ in range(50))
    chunked = asked(client, "POST", "/echo/x", blocks, encode_chunked=True)
    assert chunked["size"] == 70_000 * 50


def test_an_expected_continue_is_answered(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as raw:
        raw.sendall(
            b"POST /echo/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert raw.recv(1000).startswith(b"HTTP/1.1 100 ")
        raw.sendall(b"abc")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_an_answer_streams_block_by_block(
    client: http.client.HTTPConnection, upstream: Upstream
) -> None:
    client.request("GET", "/echo/slow")
    response = client.getresponse()
    assert response.read1(100) == b"first"  # while the function has not finished
    upstream.first_block.set()
    assert response.read() == b"last"


def test_an_answer_without_a_body_is_one(client: http.client.HTTPConnection) -> None:
    client.request("GET", "/echo/empty")
    response = client.getresponse()
    assert (response.status, response.read()) == (204, b"")
    assert asked(client, "GET", "/echo/x")


def test_a_request_that_breaks_off_is_broken_off_for_the_function(
    port: int, upstream: Upstream
) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as raw:
        raw.sendall(b"POST /echo/x HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf")
    assert upstream.broken_off.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("how", ["cut", "cut-chunked"])
def test_an_answer_that_breaks_off_is_broken_off_for_the_caller(
    client: http.client.HTTPConnection, how: str
) -> None:
    client.request("GET", f"/echo/{how}")
    response = client.getresponse()
    with pytest.raises(http.client.IncompleteRead):
        response.read()


def test_a_function_may_answer_before_it_has_read_the_request(
    client: http.client.HTTPConnection,
) -> None:
    client.request("POST", "/echo/early", bytes(8 * MIB))
    response = client.getresponse()
    assert (response.status, response.read()) == (413, b"too large")


def test_a_path_nobody_serves_is_not_found(client: http.client.HTTPConnection) -> None:
    for path in ("/", "/nope", "/_push/analyse", "/echo", "/%5Fpush/analyse"):
        client.request("POST", path, b"{}")
        response = client.getresponse()
        error = json.loads(response.read())["error"]
        assert (response.status, error["code"]) == (404, "not_found")
        assert error["request_id"] == response.headers["X-Request-Id"]
        client.close()


def test_a_function_that_is_down_is_said(client: http.client.HTTPConnection) -> None:
    client.request("POST", "/gone", b"{}")
    response = client.getresponse()
    assert response.status == 502
    assert json.loads(response.read())["error"]["code"] == "unavailable"


@pytest.mark.parametrize(("path", "code"), [("/nope", "not_found"), ("/gone", "unavailable")])
def test_its_own_refusals_are_problem_details_for_who_prefers_them(
    client: http.client.HTTPConnection, path: str, code: str
) -> None:
    client.request("GET", path, headers={"Accept": "application/problem+json"})
    response = client.getresponse()
    said = json.loads(response.read())
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (said["status"], said["code"]) == (response.status, code)


def test_many_callers_are_served_side_by_side(port: int, upstream: Upstream) -> None:
    seen: list[object] = []

    def call() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        for _ in range(10):
            seen.append(asked(connection, "POST", "/echo/x", b"abc")["size"])
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [3] * 400

"""Service in a real process: sockets, signals, log."""

import asyncio
import contextlib
import errno
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import uvicorn

from ophis import SpeciesList, load
from ophis.inference.engine import RUN_SECONDS
from ophis.serve import Limits, create_app, openapi, server
from ophis.serve.readiness import Readiness
from tests.support.docs_pages import ROOT, blocks
from tests.support.made_bundle import write_endless_bundle
from tests.support.photos import kathmandu_photo, photo
from tests.support.service import FORM, evaluated_bundle, form
from tests.support.service_process import processor_seconds

LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "
    r"(listening at http://127\.0\.0\.1:\d+"
    r"|(GET|HEAD|POST|other) (/identify|/species|/health|/ready|/metrics|/openapi\.json|page|other)"
    r" [1-5]\d\d \d+\.\d{3} s)"
)


@dataclass
class Running:
    """Running service."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(300)


@contextlib.contextmanager
def running(bundle: Path, folder: Path, *options: str) -> Generator[Running]:
    log = folder / "log"
    command = [sys.executable, "-m", "ophis", "serve", str(bundle), "--port", "0", *options]
    with log.open("wb") as file, subprocess.Popen(command, stderr=file, cwd=folder) as process:
        try:
            yield Running(process, _port(process, log), log)
        finally:
            process.kill()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    for _ in range(3000):
        if found := re.search(r"http://127\.0\.0\.1:(\d+)$", log.read_text(), re.MULTILINE):
            return int(found[1])
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError("the service does not listen")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a bundle and photos, as after `ophis demo`."""
    folder = tmp_path_factory.mktemp("reader")
    evaluated_bundle(folder / "demo" / "bundle")
    photos = folder / "demo" / "sample" / "photos"
    photos.mkdir(parents=True)
    for number in (1, 2):
        (photos / f"synthetic-0000{number}.jpg").write_bytes(photo(number, kind="JPEG"))
    return folder


@pytest.fixture(scope="module")
def service(folder: Path) -> Generator[Running]:
    with running(folder / "demo" / "bundle", folder) as found:
        yield found


@pytest.mark.parametrize(("photos", "fields"), [
    ([photo(1)], {}),
    ([photo(2, kind="JPEG")], {"country": "Kenya", "top": "2"}),
    ([photo(3, kind="WEBP"), photo(4), b"no photo"], {"country": "IN", "language": "es"}),
    ([photo(5, side=40), kathmandu_photo()], {"gps": "true", "language": "es"}),
])  # fmt: skip
def test_service_and_command_line_give_the_same_answer(service, tmp_path, photos, fields):
    # File names as in the service: "photo", or "photo 2" of several.
    names = [f"photo {n}" for n in range(1, len(photos) + 1)] if len(photos) > 1 else ["photo"]
    for name, data in zip(names, photos, strict=True):
        (tmp_path / name).write_bytes(data)
    options = [
        word for key, value in fields.items() if key != "gps" for word in (f"--{key}", value)
    ]
    options += ["--one-snake", "--json", *(["--gps"] if "gps" in fields else [])]
    bundle = service.log.parent / "demo" / "bundle"
    done = subprocess.run(
        [sys.executable, "-m", "ophis", "identify", bundle, *names, *options],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == (1 if b"no photo" in photos else 0), done.stderr
    files = [("photo", ("Anna.jpg", data)) for data in photos]
    answer = httpx2.post(f"{service.url}/identify", files=files, data=fields, timeout=300)
    assert answer.status_code == 200
    assert answer.json() == json.loads(done.stdout)


def test_log_line_holds_the_route_and_no_client_data(service):
    httpx2.post(
        f"{service.url}/identify?name=Anna",
        files={"photo": ("Anna.jpg", photo())},
        data={"country": "Nepal"},
        timeout=300,
    )
    httpx2.post(f"{service.url}/identify", files={"photo": ("Anna", b"")}, timeout=300)
    httpx2.get(f"{service.url}/Anna/Nepal?Anna")
    httpx2.get(f"{service.url}/?country=Nepal")
    httpx2.request("ANNA", f"{service.url}/identify")
    while not service.lines()[-1].endswith("405") and " 405 " not in service.lines()[-1]:
        time.sleep(0.05)
    lines = service.lines()
    wrong = [line for line in lines if not LINE.fullmatch(line)]
    assert wrong == []
    assert [line.split(" ")[2:5] for line in lines[-5:]] == [
        ["POST", "/identify", "422"], ["POST", "/identify", "422"], ["GET", "other", "404"],
        ["GET", "page", "200"], ["other", "/identify", "405"],
    ]  # fmt: skip


def test_garbage_neither_ends_the_service_nor_is_logged(service):
    before = len(service.lines())
    for sent in (b"\x16\x03\x01 Anna", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000, b"\r\n" * 9):
        with (
            socket.create_connection(("127.0.0.1", service.port), timeout=300) as client,
            contextlib.suppress(OSError),
        ):
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            client.recv(10_000)
    assert httpx2.get(f"{service.url}/health").status_code == 200
    assert not any("Anna" in line or "127.0.0.1" in line for line in service.lines()[before:])


def _post_head(length: int) -> bytes:
    head = f"POST /identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n"
    return f"{head}Content-Type: {FORM['content-type']}\r\n\r\n".encode()


@pytest.mark.skipif(sys.platform != "linux", reason="reads processor times from /proc")
def test_service_whose_network_does_not_return_ends(tmp_path):
    """The self-test runs meanwhile; Python would wait for its thread."""
    bundle = write_endless_bundle(tmp_path / "bundle", SpeciesList(("Naja naja", "Python regius")))
    with running(bundle, tmp_path) as found:
        begun = processor_seconds(found.process.pid)
        while processor_seconds(found.process.pid) < begun + 4:  # more than decoders need to start
            time.sleep(0.05)
        assert httpx2.get(f"{found.url}/ready").status_code == 503
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(RUN_SECONDS) == 1
        assert found.lines()[-1].endswith("the process ends without waiting for it")


def test_shutdown_answers_requests_in_flight_only(folder, tmp_path):
    data = form(photo())
    with running(folder / "demo" / "bundle", tmp_path) as found:
        while httpx2.get(f"{found.url}/ready").status_code != 200:
            time.sleep(0.05)
        with socket.create_connection(("127.0.0.1", found.port), timeout=300) as client:
            client.sendall(_post_head(len(data)) + data[:100])
            while "ophis_places_taken 1" not in httpx2.get(f"{found.url}/metrics").text:
                time.sleep(0.05)
            found.process.send_signal(signal.SIGTERM)
            # The service listens until the last accepted request is answered.
            while httpx2.get(f"{found.url}/ready").status_code != 503:
                time.sleep(0.05)
            late = httpx2.post(f"{found.url}/identify", files={"photo": photo()})
            assert (late.status_code, late.headers["retry-after"]) == (503, "5")
            client.sendall(data[100:])
            answer = b""
            while chunk := client.recv(2**16):
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b'"lines"' in answer
        assert found.process.wait(300) == 0
        assert all(LINE.fullmatch(line) for line in found.lines())


def test_signal_ends_idle_service_with_status_0(folder, tmp_path):
    with running(folder / "demo" / "bundle", tmp_path) as found:
        assert httpx2.get(f"{found.url}/health").status_code == 200
        assert found.stop() == 0


@contextlib.contextmanager
def here(bundle: Path) -> Generator[int]:
    """Run the server in a thread of this process; yield its port."""
    app = create_app(load(bundle))
    listener = server._listener("127.0.0.1", 0)
    config = uvicorn.Config(app, http=server._Connection, ws="none", log_config=None)
    running = server._Server(config, app)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        app.state.service.readiness = Readiness.STOPPING
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nHo"])
def test_incomplete_request_head_is_cut_off(folder, monkeypatch, sent):
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.2)
    with (
        here(folder / "demo" / "bundle") as port,
        socket.create_connection(("127.0.0.1", port), timeout=300) as client,
    ):
        client.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_client_that_goes_on_sending_after_an_error_is_cut_off(folder, monkeypatch):
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.2)
    with (
        here(folder / "demo" / "bundle") as port,
        socket.create_connection(("127.0.0.1", port), timeout=300) as client,
    ):
        client.sendall(_post_head(2**30))
        assert client.recv(2**16).startswith(b"HTTP/1.1 413 ")
        sent = 0
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < 400:
                client.sendall(b"x")
                sent += 1
                time.sleep(0.05)
        assert sent < 400


HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def health(client: socket.socket) -> bytes:
    client.sendall(HEALTH)
    answer = b""
    while not answer.endswith(b"}"):
        part = client.recv(2**16)
        assert part, "the connection was closed"
        answer += part
    return answer[:13]


@pytest.mark.parametrize("sent", [
    b"GET / HTTP\r\n\r\n", b"\x16\x03\x01\x02\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    _post_head(5).replace(b"Content-Length: 5", b"Transfer-Encoding: gzip"),
    _post_head(5).replace(b"Content-Length: 5", b"Transfer-Encoding: chunked\r\nContent-Length: 5"),
    _post_head(5).replace(b"Content-Length: 5", b"Content-Length: 5\r\nContent-Length: 6"),
    _post_head(5).replace(b"Host: localhost", b"Host: evil.example"),
])  # fmt: skip
def test_every_error_has_the_advice(service, sent):
    with socket.create_connection(("127.0.0.1", service.port), timeout=300) as client:
        client.sendall(sent)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := client.recv(2**16):
                answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4")
    assert b"\r\nconnection: close" in head.lower()
    assert json.loads(body).keys() == {"error", "reason", "emergency"}
    assert all(LINE.fullmatch(line) for line in service.lines())


def test_garbage_after_a_response_closes_the_connection(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=300) as client:
        client.sendall(HEALTH + b"\x16\x03\x01\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            while client.recv(2**16):
                pass
    assert all(LINE.fullmatch(line) for line in service.lines())


def test_connection_without_request_for_longest_makes_room(folder, monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
    with here(folder / "demo" / "bundle") as port, contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=300))
            for _ in range(3)
        ]
        for client in (*clients[1:], clients[0]):  # their last requests, in this order
            assert health(client) == b"HTTP/1.1 200 "
        for _ in range(2):
            new = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=300))
            assert health(new) == b"HTTP/1.1 200 "
        for client in clients[1:]:
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
        assert health(clients[0]) == b"HTTP/1.1 200 "


def test_client_with_most_connections_makes_room_first(folder, monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
    with here(folder / "demo" / "bundle") as port, contextlib.ExitStack() as stack:
        first, *others, new = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", port), 300, source_address=(address, 0))
            )
            for address in ("127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.3")
        ]
        with contextlib.suppress(ConnectionResetError):
            assert others[0].recv(1) == b""
        for client in (first, others[1], new):
            assert health(client) == b"HTTP/1.1 200 "


def test_upload_is_not_closed_for_a_connection(folder, monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 1)
    data = form(photo())
    with here(folder / "demo" / "bundle") as port, contextlib.ExitStack() as stack:
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=300))
        client.sendall(_post_head(len(data)) + data[:-9])
        time.sleep(0.2)
        new = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=300))
        with contextlib.suppress(ConnectionResetError):
            assert new.recv(1) == b""
        client.sendall(data[-9:])
        assert client.recv(13) == b"HTTP/1.1 200 "


@pytest.mark.skipif(server.resource is None, reason="Windows has no limit of descriptors")
@pytest.mark.parametrize(("descriptors", "connections"), [
    (16, 16), (256, 160), (1024, 512), (2**20, 512), (-1, 512),
])  # fmt: skip
def test_connections_are_bounded_by_descriptors(monkeypatch, descriptors, connections):
    monkeypatch.setattr(server.resource, "getrlimit", lambda _: (descriptors, descriptors))
    assert server.most_connections() == connections


def test_lack_of_descriptors_is_not_logged(caplog):
    loop = asyncio.new_event_loop()
    server._log_loop_error(loop, {"exception": OSError(errno.EMFILE, "Anna"), "message": "Anna"})
    assert caplog.messages == []
    server._log_loop_error(loop, {"exception": ValueError("Anna"), "message": "Anna"})
    server._log_loop_error(loop, {"message": "Anna"})
    assert caplog.messages == ["defect: ValueError in nowhere", "defect: in the event loop"]
    loop.close()


def error_line(*arguments: object) -> str:
    command = [sys.executable, "-m", "ophis", "serve", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert re.fullmatch(r"ophis: [^\n]*\n", done.stderr), done.stderr
    return done.stderr


def test_truncated_model_is_refused_at_start(tmp_path):
    bundle = evaluated_bundle(tmp_path / "bundle")
    model = bundle / "model.onnx"
    model.write_bytes(model.read_bytes()[:-10])
    assert "model.onnx: its checksum differs" in error_line(bundle, "--port", 0)


def test_invalid_address_is_refused(folder):
    bundle = folder / "demo" / "bundle"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"nothing can listen at 127.0.0.1, port {port}: " in error_line(
            bundle, "--port", port
        )
    assert "port 99999: give a number from 0 to 65535" in error_line(bundle, "--port", 99999)
    assert "nothing can listen at 192.0.2.1" in error_line(bundle, "--host", "192.0.2.1")
    assert "workers = 0 should be 1 or more" in error_line(bundle, "--workers", 0)


PAGE = ROOT / "docs" / "http.md"
COMMANDS = re.findall(r"^\$ (curl .*)$", "".join(blocks(PAGE, "console")), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_http_md_is_answered(service, command):
    words = shlex.split(command.replace("127.0.0.1:8000", f"127.0.0.1:{service.port}"))
    fail = ["--fail"] if "Atlantis" not in command else []
    done = subprocess.run(
        [*words, "--silent", "--show-error", *fail], cwd=service.log.parent,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = PAGE.read_text(encoding="utf-8")
    shown = text.split(f"$ {command}\n")[1].splitlines()[0]
    if shown.startswith("{"):
        assert json.loads(done.stdout) == json.loads(shown)
    elif "/identify" in command:
        assert json.loads(done.stdout)["lines"]


def test_http_md_shows_the_actual_statuses_and_limits():
    assert len(COMMANDS) >= 8
    text = PAGE.read_text(encoding="utf-8")
    for status in openapi._ERRORS:
        assert re.search(rf"^\| .*\b{status}\b", text, re.MULTILINE)
    limits = Limits()
    text = " ".join(text.split())
    for sentence in (
        f"at most {limits.photos}, {limits.request_bytes // 2**20} MiB together",
        f"more than {limits.photos} photos",
        f"no byte for {limits.stall_seconds} seconds",
        f"less than {limits.upload_rate // 1000} kB a second after {limits.start_seconds} seconds",
        f"over {limits.upload_seconds // 60} minutes",
        f"({limits.uploads})",
        f"({server.MOST_CONNECTIONS} at most",
        f"run at once ({limits.workers})",
        f"more wait ({limits.waiting})",
        f"hold at most {limits.held_bytes // 2**20} MiB",
        f"at most {limits.decoder_bytes // 2**20} MiB)",
        f"at most {limits.memory_bytes // 2**20} MiB beside the model",
        f"more than {limits.decoder_seconds} seconds",
        f"up to {limits.grace_seconds} seconds",
    ):
        assert sentence in text, sentence

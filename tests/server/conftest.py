"""A server of the program for each file of tests, and a small HTTP client."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("DIFFIT_BINARY", ROOT / "bin/diffit")).resolve()
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
PATIENCE = 60  # seconds for anything on a busy machine


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Studio:
    """A running server."""

    def __init__(self, folder, *options, runs=None, env=None):
        self.folder = pathlib.Path(folder)
        self.process = subprocess.Popen([BINARY, "serve", "--port", "0", "--data", folder, "--runs", runs or self.folder / "runs", "--json", *map(str, options)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})}, preexec_fn=heed_signals)
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.address = json.loads(line)["address"]
        place = urllib.parse.urlsplit(self.address)
        self.host, self.port, self.token = place.hostname, place.port, place.fragment.removeprefix("token=")

    def ask(self, method, path, body=None, headers=None):
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        headers = dict(headers or {})
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = "Bearer " + self.token
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, headers)
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, status=200, **headers):
        reply = self.ask("GET", path, headers=headers)
        assert reply.status == status, (path, reply.status, reply.body)
        return reply.json

    def post(self, path, body, status=200, **headers):
        reply = self.ask("POST", path, body, headers)
        assert reply.status == status, (path, reply.status, reply.body)
        return reply.json

    def submit(self, **spec):
        return self.post("/api/v1/jobs", {"kind": "sample", "spec": {"steps": 2, **spec}}, 202)["id"]

    def wait(self, job, state="done"):
        end = time.monotonic() + PATIENCE
        while (found := self.get(f"/api/v1/jobs/{job}"))["state"] in ("queued", "running"):
            assert time.monotonic() < end, found
            time.sleep(0.02)
        assert found["state"] == state, found
        return found

    def sample(self, **spec):
        """The images of a job, as the gallery has them."""
        return [self.get(f"/api/v1/images/{i}") for i in self.wait(self.submit(**spec))["images"]]

    def metric(self, name):
        text = self.ask("GET", "/metrics").body.decode()
        return float(next(line.split()[-1] for line in text.splitlines() if line.startswith(name + " ")))

    def events(self, job, last=None):
        """(id, type, data) of a stream until its end."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        headers = {"Last-Event-ID": str(last)} if last is not None else {}
        connection.request("GET", f"/api/v1/jobs/{job}/events", headers=headers)
        response = connection.getresponse()
        assert response.status == 200 and response.getheader("Content-Type").startswith("text/event-stream")
        event = {}
        while line := response.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            event[name] = value
            if name == "data":
                yield int(event["id"]), event["event"], json.loads(value)
                event = {}
                response.readline()
            elif name in ("retry", ""):
                response.readline()
        connection.close()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def heed_signals():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def binary():
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not there: run ./dev build", returncode=1)
    return BINARY


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    server = Studio(tmp_path_factory.mktemp("studio"))
    yield server
    assert server.stop() == 0


@pytest.fixture
def start(tmp_path):
    """Starts further servers, in a folder of the test."""
    started = []

    def begin(*options, folder="studio", **more):
        started.append(Studio(tmp_path / folder, *options, **more))
        return started[-1]

    yield begin
    for server in started:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)

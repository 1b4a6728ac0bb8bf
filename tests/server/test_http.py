"""The interface over HTTP: its description, other programs' dialects, tokens, and hostile requests."""

import base64
import concurrent.futures
import contextlib
import http.client
import io
import json
import socket
import time
import urllib.parse

import pytest
from conftest import PATIENCE
from PIL import Image
from test_runs import line, write_run


@pytest.mark.smoke
def test_health_capabilities_metrics(studio):
    assert studio.get("/healthz") == {"status": "ok"}
    found = studio.get("/api/v1/capabilities")
    assert found == studio.get("/capabilities")
    models = {model["name"]: model for model in found["models"]}
    assert models["fashion-mnist"]["kind"] == "image" and models["fashion-mnist"]["class_names"][8] == "Bag"
    assert models["fashion-latent"]["kind"] == "latent" and "fashion-net" not in models
    samplers = {sampler["name"]: sampler for sampler in found["samplers"]}
    assert samplers["heun"]["evaluations"] == 2 and samplers["ddim"]["latent_only"]
    reply = studio.ask("GET", "/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    for line in reply.body.decode().splitlines():
        assert line.startswith("# ") or (len(line.split(" ")) == 2 and float(line.split(" ")[1]) >= 0), line


# --- the description ---

def resolve(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def check(document, schema, value, place):
    """The part of JSON schema that the document uses."""
    schema = resolve(document, schema)
    if value is None and schema.get("nullable"):
        return
    if "oneOf" in schema:
        for choice in schema["oneOf"]:
            try:
                return check(document, choice, value, place)
            except AssertionError:
                continue
        raise AssertionError(f"{place}: {value} is none of the choices")
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), f"{place}: wanted {schema['type']}, got {value!r}"
    assert "enum" not in schema or value in schema["enum"], f"{place}: {value!r}"
    if isinstance(value, dict):
        for name in schema.get("required", []):
            assert name in value, f"{place}: {name} is missing"
        for name, member in value.items():
            if name in schema.get("properties", {}):
                check(document, schema["properties"][name], member, f"{place}.{name}")
            else:
                assert schema.get("additionalProperties", True) is not False, f"{place}: {name} is not described"
    if isinstance(value, list):
        for i, member in enumerate(value):
            check(document, schema.get("items", {}), member, f"{place}[{i}]")


def test_the_description_is_true(studio):
    document = studio.get("/api/v1/openapi.json")
    (studio.folder / "runs").mkdir()
    write_run(studio.folder / "runs/one", line(1, 0.5), grids=(5,))
    job = studio.submit(seeds=[1], keep_steps=True)
    image = studio.wait(job)["images"][0]
    fill = {"{name}": "one", "{images}": "5", "{id}": None, "{step}": "1", "{image}": "0", "{what}": "estimate"}
    bodies = {"submitJob": {"kind": "sample", "spec": {"steps": 2, "seeds": "0-1"}}, "setTags": {"tags": ["a", "b"]},
              "openSession": {"token": ""}, "generateImages": {"prompt": "bag"}, "txt2img": {"prompt": "bag", "steps": 2},
              "setOptions": {"sd_model_checkpoint": "fashion-mnist"},
              "attentionCounterfactual": {"change": {"zero_bias": True}}, "attentionCurves": {"levels": 2}}
    operations = [(path, method, o) for path, methods in document["paths"].items() for method, o in methods.items()]
    assert len({o["operationId"] for _, _, o in operations}) == len(operations) > 25
    for path, method, operation in sorted(operations, key=lambda o: o[1] == "delete"):
        url = path.replace("{id}", str(image) if "/images/" in path else job)
        for name, value in fill.items():
            url = url.replace(name, value or name)
        reply = studio.ask(method.upper(), url, bodies.get(operation["operationId"], {} if method == "post" else None))
        assert str(reply.status) in operation["responses"], (method, url, reply.status, reply.body)
        assert reply.status < 400 or operation["operationId"] in ("cancelJob", "jobPreview"), (url, reply.status, reply.body)
        for kind, content in operation["responses"][str(reply.status)].get("content", {}).items():
            assert reply.headers["content-type"].startswith(kind), (url, reply.headers)
            if kind.endswith("json"):
                check(document, content["schema"], reply.json, f"{method} {path}")
    # What is not described is not there, with every method.
    described = {(path, method) for path, method, _ in operations}
    for path in {path for path, _, _ in operations}:
        for method in ("get", "post", "put", "delete"):
            if (path, method) not in described:
                url = path.replace("{id}", "1").replace("{step}", "1").replace("{image}", "0").replace("{what}", "noisy").replace("{name}", "x").replace("{images}", "1")
                assert studio.ask(method.upper(), url).status == 405, (path, method)


def test_problems_are_described(studio):
    document = studio.get("/api/v1/openapi.json")
    for method, path, body, status in (("GET", "/api/v1/jobs/0", None, 404), ("GET", "/nothing", None, 404),
                                       ("GET", "/api/v1/images?limit=0", None, 400), ("GET", "/api/v1/images?before=x", None, 400),
                                       ("POST", "/api/v1/jobs", {"kind": "train"}, 400), ("PATCH", "/api/v1/jobs", {}, 405)):
        reply = studio.ask(method, path, body)
        assert reply.status == status and reply.headers["content-type"] == "application/problem+json", (path, reply.body)
        check(document, {"$ref": "#/components/schemas/Problem"}, reply.json, path)


# --- the gallery ---

def test_gallery(studio):
    images = studio.sample(seeds="30-34", classes="Dress")
    ids = [image["id"] for image in images]
    page = studio.get("/api/v1/images?limit=2")
    assert [image["id"] for image in page["images"]] == ids[:-3:-1] and page["next"] == ids[-2]
    assert studio.get(f"/api/v1/images?limit=1&before={page['next']}")["images"][0]["id"] == ids[-3]
    assert {image["class"] for image in studio.get("/api/v1/images?label=3&model=fashion-mnist")["images"]} == {"Dress"}
    nasty = ["'; DROP TABLE images; --", "<img src=x onerror=alert(1)>", "a/../b", "\u202e\u0000"]
    reply = studio.ask("PUT", f"/api/v1/images/{ids[0]}/tags", {"tags": [*nasty, "good", " good "]})
    assert reply.status == 200 and len(reply.json["tags"]) == 5
    assert studio.get(f"/api/v1/images/{ids[0]}")["tags"] == reply.json["tags"]
    for tag in (nasty[0], nasty[1], "good"):
        assert [i["id"] for i in studio.get("/api/v1/images?tag=" + urllib.parse.quote(tag))["images"]] == [ids[0]]
    assert studio.get("/api/v1/images?tag=" + urllib.parse.quote("' OR '1'='1"))["images"] == []
    for tags in ("x", [""], [3], ["x" * 65], ["x"] * 33, None):
        assert studio.ask("PUT", f"/api/v1/images/{ids[0]}/tags", {"tags": tags}).json["field"] == "tags"
    assert studio.ask("DELETE", f"/api/v1/images/{ids[1]}").status == 204
    assert studio.ask("DELETE", f"/api/v1/images/{ids[1]}").status == 404
    assert studio.ask("GET", f"/api/v1/images/{ids[1]}/png").status == 404


# --- other dialects ---

def test_openai(studio):
    assert {m["id"] for m in studio.get("/v1/models")["data"]} == {"fashion-mnist", "fashion-latent"}
    reply = studio.post("/v1/images/generations", {"model": "fashion-mnist", "prompt": "ankle boot", "n": 2, "size": "1024x1024",
                                                   "response_format": "b64_json"})
    assert reply["size"] == "32x32" and len(reply["data"]) == 2 and isinstance(reply["created"], int)
    pictures = [Image.open(io.BytesIO(base64.b64decode(d["b64_json"]))) for d in reply["data"]]
    assert pictures[0].size == (32, 32) and pictures[0].tobytes() != pictures[1].tobytes()
    assert json.loads(pictures[0].text["diffit"])["classes"] == [9]
    (entry,) = studio.post("/v1/images/generations", {"prompt": "bag", "response_format": "url"})["data"]
    assert entry["url"].startswith(f"http://{studio.host}:{studio.port}/") and "b64_json" not in entry
    assert studio.ask("GET", "/" + entry["url"].split("/", 3)[3]).body.startswith(b"\x89PNG")
    for body, param in (({"prompt": "zebra"}, "prompt"), ({}, "prompt"), ({"prompt": "bag", "n": 0}, "n"),
                        ({"prompt": "bag", "model": "dall-e-3"}, "model"), ({"prompt": "bag", "response_format": "x"}, "response_format")):
        error = studio.post("/v1/images/generations", body, 400)["error"]
        assert error["param"] == param and error["type"] == "invalid_request_error" and error["message"]


def test_a1111(studio):
    assert "Heun" in [s["name"] for s in studio.get("/sdapi/v1/samplers")]
    assert {m["model_name"] for m in studio.get("/sdapi/v1/sd-models")} == {"fashion-mnist", "fashion-latent"}
    request = {"prompt": "Bag", "negative_prompt": "", "seed": 7, "steps": 3, "width": 512, "height": 512, "sampler_name": "Euler",
               "batch_size": 2, "n_iter": 1, "cfg_scale": 1}
    reply = studio.post("/sdapi/v1/txt2img", request)
    info = json.loads(reply["info"])
    assert info["all_seeds"] == [7, 8] and info["seed"] == 7 and info["all_prompts"] == ["Bag", "Bag"] and info["width"] == 32
    pictures = [Image.open(io.BytesIO(base64.b64decode(i))) for i in reply["images"]]
    made_by = json.loads(pictures[1].text["diffit"])
    assert (made_by["sampler"], made_by["steps"], made_by["seeds"], made_by["classes"]) == ("euler", 3, [8], [8])
    assert studio.get("/sdapi/v1/progress")["progress"] == 0
    assert studio.get("/sdapi/v1/options")["sd_model_checkpoint"] == "fashion-mnist"
    studio.post("/sdapi/v1/options", {"sd_model_checkpoint": "fashion-latent"})
    latent = studio.post("/sdapi/v1/txt2img", {"prompt": "", "steps": 4, "sampler_name": "DDIM"})
    assert json.loads(latent["info"])["sd_model_name"] == "fashion-latent"
    studio.post("/sdapi/v1/options", {"sd_model_checkpoint": "fashion-mnist"})
    assert "zebra" in studio.post("/sdapi/v1/txt2img", {"prompt": "zebra"}, 422)["detail"]
    assert "Euler a" in studio.post("/sdapi/v1/txt2img", {"sampler_name": "Euler a"}, 404)["detail"]
    studio.post("/sdapi/v1/txt2img", {"batch_size": 1 << 40, "n_iter": 1 << 40}, 422)


def test_a1111_progress_and_interrupt(studio):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        made = pool.submit(studio.ask, "POST", "/sdapi/v1/txt2img", {"prompt": "Bag", "steps": 900, "batch_size": 32})
        end = time.monotonic() + PATIENCE
        while not (found := studio.get("/sdapi/v1/progress"))["current_image"] or found["progress"] == 0:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert 0 < found["progress"] < 1 and found["state"]["job_count"] == 1
        Image.open(io.BytesIO(base64.b64decode(found["current_image"]))).load()
        studio.post("/sdapi/v1/interrupt", {})
        assert made.result().status == 409


# --- access ---

def test_token(start):
    studio = start("--token", "open-sesame")
    assert studio.token == "open-sesame"
    bare = {"Authorization": ""}
    for path in ("/api/v1/jobs", "/metrics", "/api/v1/images", "/capabilities", "/v1/models", "/api/v1/openapi.json", "/nothing"):
        reply = studio.ask("GET", path, headers=bare)
        assert reply.status == 401 and "Bearer" in reply.headers["www-authenticate"], path
    for path in ("/", "/app.js", "/app.css", "/healthz"):
        assert studio.ask("GET", path, headers=bare).status == 200, path
    assert studio.ask("POST", "/api/v1/session", {"token": "wrong"}, bare).status == 401
    reply = studio.ask("POST", "/api/v1/session", {"token": "open-sesame"}, bare)
    cookie = reply.headers["set-cookie"]
    assert reply.status == 204 and "HttpOnly" in cookie and "SameSite=Strict" in cookie and "sesame" not in cookie
    assert studio.ask("GET", "/api/v1/jobs", headers={**bare, "Cookie": cookie.split(";")[0]}).status == 200
    assert studio.ask("GET", "/api/v1/jobs").status == 200


def test_open_to_others_only_with_a_token(start):
    studio = start("--host", "0.0.0.0")
    assert len(studio.token) == 32
    assert studio.ask("GET", "/api/v1/jobs", headers={"Authorization": ""}).status == 401
    assert studio.ask("GET", "/api/v1/jobs", headers={"Host": "studio.example"}).status == 200
    assert start("--host", "0.0.0.0", folder="b", env={"DIFFIT_TOKEN": "abc"}).token == "abc"


def test_other_sites(studio):
    here = f"127.0.0.1:{studio.port}"
    spec = {"kind": "sample", "spec": {"steps": 2}}
    before = studio.metric("diffit_jobs_submitted_total")
    for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{studio.port}"}, {"Origin": "http://evil.example"},
                    {"Origin": "null"}, {"Origin": f"http://localhost:{studio.port}"}, {"Sec-Fetch-Site": "cross-site"}):
        assert studio.ask("POST", "/api/v1/jobs", spec, headers).status == 403, headers
        assert studio.ask("GET", "/api/v1/images", headers=headers).status == 403, headers
    # What a form of another site could send.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert studio.ask("POST", "/api/v1/jobs", json.dumps(spec).encode(), {"Content-Type": kind}).status == 415
    assert studio.metric("diffit_jobs_submitted_total") == before
    assert studio.ask("GET", "/", headers={"Origin": f"http://{here}"}).status == 200
    reply = studio.ask("GET", "/")
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert "access-control-allow-origin" not in reply.headers


# --- hostile requests ---

def raw(studio, data, pieces=1, pause=0.0):
    """The first reply to bytes as they are; "" if the server closes without one."""
    with socket.create_connection((studio.host, studio.port), timeout=PATIENCE) as connection:
        size = len(data) // pieces + 1
        try:
            for at in range(0, len(data), size):
                connection.sendall(data[at:at + size])
                time.sleep(pause)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while piece := connection.recv(65536):
                received += piece
        except OSError:
            return ""
    return received.decode("latin1")


def host(studio):
    return f"Host: 127.0.0.1:{studio.port}\r\n".encode()


def test_paths_lead_nowhere_else(studio):
    for path in ("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/app.js/../../x",
                 "/api/v1/images/../../../etc/passwd", "/api/v1/images/1%2f..%2f2/png", "/api/v1/jobs/..%2f..%2fx/preview",
                 "/web/app.js", "/gallery.sqlite", "/%00", "/app.js%00.png", "/api/v1/images/1e9", "/api/v1/images/-1",
                 "/api/v1/images/99999999999999999999/png", "/api/v1/jobs/x/steps/1/0/noisy", "/" + "a" * 7000):
        assert studio.ask("GET", path).status == 404, path


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"nul", b'{"kind": "sample", "spec": []}', b'{"kind": "sample", "x": 1}', b"\xff\xfe",
                                  b'{"kind": "sample", "spec": {"steps": NaN}}', b"[" * 200000,
                                  b'{"kind": "sample", "spec": {"seeds": "' + b"1," * 400000 + b'1"}}'])
def test_malformed_bodies(studio, body):
    reply = studio.ask("POST", "/api/v1/jobs", body, {"Content-Type": "application/json"})
    assert reply.status == 400 and reply.json["detail"], reply.body


def test_large_bodies(studio):
    with contextlib.suppress(ConnectionError, http.client.HTTPException):  # it may close while the client still sends
        assert studio.ask("POST", "/api/v1/jobs", b"x" * (5 << 20), {"Content-Type": "application/json"}).status == 413
    head = b"POST /api/v1/jobs HTTP/1.1\r\n" + host(studio) + b"Content-Type: application/json\r\n"
    assert " 413 " in raw(studio, head + b"Content-Length: 99999999999999\r\n\r\n{}")
    assert " 413 " in raw(studio, head + b"Content-Length: -1\r\n\r\n{}")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    assert " 202 " not in raw(studio, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40 + b"0\r\n\r\n")
    assert studio.get("/healthz")


def test_no_request_hides_in_the_body_of_another(studio):
    """What follows a body that is refused is never taken for a request, which could lack the headers of a browser."""
    hidden = b"DELETE /api/v1/images/%d HTTP/1.1\r\n" + host(studio) + b"\r\n"
    (image,) = studio.sample()
    hidden = hidden % image["id"]
    head = b"POST /api/v1/jobs HTTP/1.1\r\n" + host(studio) + b"Origin: http://evil.example\r\nContent-Type: text/plain\r\n"
    length = b"Content-Length: %d\r\n\r\n"
    for data in (head + length % (2 << 20) + b" " * (1 << 20) + hidden, head + length % len(hidden) + hidden,
                 head + b"Content-Length: 0\r\n" + length % len(hidden) + hidden,
                 head + b"Transfer-Encoding: chunked\r\n" + length % len(hidden) + b"0\r\n\r\n" + hidden,
                 head + b"Content-Type: multipart/form-data\r\n" + length % len(hidden) + hidden,
                 head.replace(b"text/plain", b"multipart/form-data; boundary=x") + length % (len(hidden) + 10) + b" " * 10 + hidden):
        replies = raw(studio, data)
        assert " 204 " not in replies and replies.count("HTTP/1.1 ") <= 1, replies
    assert studio.get(f"/api/v1/images/{image['id']}")


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00\x01\x02\xff" * 100, b"GET / HTTP/1.1\r\n\r\n",
                                  b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
                                  b"GET / HTTP/1.1\r\nHost: " + b"x" * 100000 + b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                                  b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: zero\r\n\r\n"],
                         ids=range(10))
def test_what_is_not_http(studio, data):
    reply = raw(studio, data)
    assert reply == "" or reply.split(" ")[1].startswith("4"), reply[:200]
    assert studio.get("/healthz") == {"status": "ok"}


def test_slow_clients_wait_alone(studio):
    slow = [socket.create_connection((studio.host, studio.port)) for _ in range(40)]
    for connection in slow:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: loc")
    began = time.monotonic()
    assert studio.get("/healthz") and time.monotonic() - began < 5
    for connection in slow:
        connection.close()


def test_replies_are_no_pages(studio):
    reply = studio.ask("GET", "/")
    assert reply.headers["content-type"] == "text/html; charset=utf-8" and reply.headers["x-content-type-options"] == "nosniff"
    assert b"<script>" not in reply.body and "script-src 'self'" in reply.headers["content-security-policy"]
    error = studio.ask("GET", "/<script>alert(1)</script>")
    assert error.status == 404 and error.headers["content-type"] == "application/problem+json"


def test_two_hundred_clients_at_once(studio):
    before = studio.metric("diffit_batches_total")

    def client(number):
        assert studio.get("/healthz")
        reply = studio.ask("POST", "/sdapi/v1/txt2img", {"prompt": "Bag", "seed": number, "steps": 2})
        return reply.status, reply.status == 200 and json.loads(reply.json["info"])["seed"]

    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(client, range(200)))
    made = [number for number, (status, seed) in enumerate(answers) if status == 200 and seed == number]
    assert len(made) >= 64 and {status for status, _ in answers} <= {200, 503}
    assert studio.metric("diffit_batches_total") - before < len(made) / 4
    resident = studio.metric("process_resident_memory_bytes")
    assert resident < 1.5e9, resident

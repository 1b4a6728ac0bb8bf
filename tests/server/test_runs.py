"""Trainings in a folder, read while they may be written."""

import json
import urllib.parse

import pytest
from conftest import Studio
from PIL import Image


def write_run(folder, lines, config="[train]\nimages = 5000\n", grids=()):
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(config)
    (folder / "stats.jsonl").write_text(lines)
    for images in grids:
        Image.new("L", (8, 8), images % 256).save(folder / f"samples-{images:09}.png")


def line(images, loss):
    return json.dumps({"images": images, "loss": loss, "lr": 1e-3, "seconds": images / 100}) + "\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "runs"
    write_run(folder / "one", "".join(line(100 * i, 1 / i) for i in range(1, 3001)) +
              json.dumps({"images": 300000, "eval": {"fid": 12.5}, "eval_seconds": 3}) + "\n" + '{"images": 3001', grids=(1000, 2000))
    write_run(folder / "broken <b>", "not json\n[]\n{\"loss\": 3}\n", config="[train\n")
    (folder / "no run").mkdir()
    (folder / ".hidden").mkdir()
    (folder / ".hidden/config.toml").write_text("")
    (folder.parent / "secret").mkdir()
    (folder.parent / "secret/config.toml").write_text("secret = 1\n")
    (folder.parent / "secret/samples-000000001.png").write_bytes(b"secret")
    server = Studio(folder.parent / "studio", runs=folder)
    yield server
    assert server.stop() == 0


def test_runs_and_curves(runs):
    found = {run["name"]: run for run in runs.get("/api/v1/runs")["runs"]}
    assert set(found) == {"one", "broken <b>"}
    assert found["one"]["images"] == 300000 and found["one"]["planned"] == 5000 and found["one"]["loss"] == 1 / 3000
    assert found["broken <b>"]["images"] == 0 and found["broken <b>"]["planned"] is None
    run = runs.get("/api/v1/runs/one")
    assert len(run["points"]) == 1000 and run["points"][0]["images"] == 100 and run["points"][-1]["images"] == 300000
    assert run["scores"] == [{"images": 300000, "eval": {"fid": 12.5}, "eval_seconds": 3}] and "images = 5000" in run["config"]
    assert [grid["images"] for grid in run["grids"]] == [1000, 2000]
    reply = runs.ask("GET", run["grids"][1]["url"])
    assert reply.status == 200 and reply.headers["content-type"] == "image/png" and reply.body.startswith(b"\x89PNG")
    assert runs.get("/api/v1/runs/" + urllib.parse.quote("broken <b>"))["points"] == []


@pytest.mark.parametrize("path", ["no run", ".hidden", "..", "../secret", "..%2fsecret", "%2e%2e/secret", "one%2f..%2f..%2fsecret", "one/../../secret",
                                  "../secret/grids/1", "..%2fsecret/grids/1", "one/grids/../../secret", "one/grids/3", "one/grids/-1",
                                  "one/grids/1e3", "one/grids/99999999999999999999", "one/config.toml", "one%00", "%2fetc", ""])
def test_nothing_else_is_shown(runs, path):
    reply = runs.ask("GET", "/api/v1/runs/" + path.replace(" ", "%20"))
    assert reply.status == 404 and b"secret = 1" not in reply.body


def test_without_a_folder_there_are_no_runs(start, tmp_path):
    assert start(runs=tmp_path / "none").get("/api/v1/runs")["runs"] == []

"""Jobs: from a request to images, events, cancellation, batches, and what happens when the server ends."""

import io
import json
import signal
import sqlite3
import subprocess
import time

import numpy as np
import pytest
from conftest import BINARY, PATIENCE
from PIL import Image

SETTINGS = {"model", "seeds", "classes", "sampler", "steps", "sigma_min", "sigma_max", "rho", "guidance", "guidance_channels",
            "guidance_tolerance", "eta"}


def pixels(studio, image):
    return np.asarray(Image.open(io.BytesIO(studio.ask("GET", image["url"]).body))).astype(int)


@pytest.mark.smoke
def test_images_are_those_of_the_command_line(studio, tmp_path):
    images = studio.sample(seeds="3-5", classes="Bag, Sneaker", steps=4)
    assert [(i["seed"], i["class"], i["label"]) for i in images] == [(3, "Bag", 8), (4, "Sneaker", 7), (5, "Bag", 8)]
    subprocess.run([BINARY, "sample", "-m", "fashion-mnist", "--seeds", "3-5", "--classes", "8,7", "--steps", "4", "-o",
                    tmp_path / "out", "--quiet"], check=True)
    for image, path in zip(images, sorted((tmp_path / "out").glob("*.png"))):
        expected = Image.open(path)
        assert abs(pixels(studio, image) - np.asarray(expected).astype(int)).max() <= 1
        made = Image.open(io.BytesIO(studio.ask("GET", image["url"]).body))
        ours, theirs = json.loads(made.text["diffit"]), json.loads(expected.text["diffit"])
        assert {key: ours[key] for key in ours} == {key: theirs[key] for key in ours}


def test_settings_make_the_image_again(studio):
    for spec in ({"seeds": [11], "classes": ["Coat"], "guidance": 1.5}, {"seeds": [12], "classes": "random"},
                 {"model": "fashion-latent", "seeds": [13], "classes": [2], "sampler": "ddim", "eta": 0.5, "steps": 5}):
        (image,) = studio.sample(**spec)
        (again,) = studio.sample(**{key: value for key, value in image["settings"].items() if key in SETTINGS})
        assert again["id"] != image["id"] and again["settings"] == image["settings"]
        assert (pixels(studio, again) == pixels(studio, image)).all()


def test_mixed_noise_is_made_again_by_each_image(studio):
    """Shares are taken in turn; an image of the gallery has the one that it was made with."""
    images = studio.sample(seeds=[3, 3, 3], classes=[5], mix_seed=8, mix="0,0.4,1")
    assert [image["settings"]["mix"] for image in images] == ["0", "0.4", "1"]
    (own,), (other,) = (studio.sample(seeds=[seed], classes=[5]) for seed in (3, 8))
    (again,) = studio.sample(**{key: value for key, value in images[1]["settings"].items() if key in SETTINGS | {"mix", "mix_seed"}})
    for image, wanted in zip(images, (own, again, other)):
        assert np.abs(pixels(studio, image) - pixels(studio, wanted)).max() <= 1
    assert np.abs(pixels(studio, own) - pixels(studio, again)).max() > 10 < np.abs(pixels(studio, other) - pixels(studio, again)).max()
    # Jobs with shares are made alone: a share belongs to the place of an image.
    before = studio.metric("diffit_jobs_merged_total")
    blocker = studio.submit(seeds="0-7", steps=100)
    jobs = [studio.submit(seeds=[seed], mix_seed=8, mix="0.5") for seed in (1, 2)]
    for job in (blocker, *jobs):
        studio.wait(job)
    assert studio.metric("diffit_jobs_merged_total") == before


def test_events_tell_the_whole_story(studio):
    job = studio.submit(seeds="0-7", steps=6)
    events = list(studio.events(job))
    assert [number for number, _, _ in events] == sorted({number for number, _, _ in events})
    states = [data["state"] for _, kind, data in events if kind == "state"]
    assert states == ["queued", "running", "done"]
    progress = [data for _, kind, data in events if kind == "progress"]
    assert progress[-1] == {"done": 8 * 11, "total": 8 * 11, "unit": "evaluations"}
    assert [p["done"] for p in progress] == sorted(p["done"] for p in progress)
    previews = [data for _, kind, data in events if kind == "preview"]
    assert previews and previews[0]["steps"] == 6 and previews[0]["sigma"] > 1
    last = events[-1]
    assert last[2]["images"] == studio.get(f"/api/v1/jobs/{job}")["images"] and len(last[2]["images"]) == 8
    # A client that was away gets what it missed, and no more.
    assert list(studio.events(job, last=events[1][0])) == events[2:]


def test_a_client_that_leaves_harms_nobody(studio):
    job = studio.submit(seeds="0-63", steps=30)
    stream = studio.events(job)
    next(stream)
    stream.close()
    studio.post(f"/api/v1/jobs/{job}/cancel", {}, 202)
    studio.wait(job, "cancelled")
    assert studio.sample()


def test_cancel(studio):
    running = studio.submit(seeds="0-63", steps=500)
    waiting = studio.submit(seeds="0-63", steps=499)
    studio.post(f"/api/v1/jobs/{waiting}/cancel", {}, 202)
    assert studio.wait(waiting, "cancelled")["images"] == []
    studio.post(f"/api/v1/jobs/{running}/cancel", {}, 202)
    studio.wait(running, "cancelled")
    assert "cancelled" in studio.post(f"/api/v1/jobs/{running}/cancel", {}, 409)["detail"]
    studio.post("/api/v1/jobs/0123456789abcdef/cancel", {}, 404)
    assert studio.get("/api/v1/images?job=" + running)["images"] == []


def test_jobs_with_equal_settings_are_made_together(studio):
    alone = [pixels(studio, studio.sample(seeds=[s], classes=[c], steps=3)[0]) for s, c in ((21, 1), (22, 2), (23, 3))]
    before = studio.metric("diffit_jobs_merged_total")
    blocker = studio.submit(seeds="0-63", steps=500)
    jobs = [studio.submit(seeds=[s], classes=[c], steps=3) for s, c in ((21, 1), (22, 2), (23, 3))]
    studio.post(f"/api/v1/jobs/{blocker}/cancel", {}, 202)
    for job, expected in zip(jobs, alone):
        done = studio.wait(job)
        assert done["result"]["together_with"] == 2
        (image,) = [studio.get(f"/api/v1/images/{i}") for i in done["images"]]
        assert abs(pixels(studio, image) - expected).max() <= 1
    assert studio.metric("diffit_jobs_merged_total") == before + 2


def test_a_full_queue_refuses(start):
    studio = start("--queue", 2)
    blocker = studio.submit(seeds="0-63", steps=500)
    while studio.get(f"/api/v1/jobs/{blocker}")["state"] != "running":
        time.sleep(0.02)
    for _ in range(2):
        studio.submit()
    reply = studio.ask("POST", "/api/v1/jobs", {"kind": "sample", "spec": {}})
    assert reply.status == 503 and int(reply.headers["retry-after"]) > 0
    assert studio.metric("diffit_jobs_queued") == 2 and studio.metric("diffit_jobs_refused_total") == 1


def test_wrong_fields_are_refused_before_they_wait(studio):
    for spec, field in (({"steps": 1}, "steps"), ({"sampler": "ddim"}, "sampler"), ({"guidance": -1}, "guidance"),
                        ({"sigma_min": 90}, "sigma_min"), ({"eta": 1}, "eta"), ({"rounding": "up"}, "rounding"),
                        ({"model": "fashion-mnis"}, "model"), ({"stepz": 3}, "stepz")):
        problem = studio.post("/api/v1/jobs", {"kind": "sample", "spec": spec}, 400)
        assert problem["field"] == field and problem["status"] == 400 and problem["detail"], problem
    assert "did you mean 'steps'" in problem["detail"]


def test_kept_steps_and_a_branch(studio):
    job = studio.submit(seeds=[5], classes=[3], steps=8, keep_steps=True)
    images = studio.wait(job)["images"]
    steps = studio.get(f"/api/v1/jobs/{job}/steps")["steps"]
    assert [s["step"] for s in steps] == list(range(8))
    sigmas = [s["sigma"] for s in steps]
    assert sigmas == sorted(sigmas, reverse=True) and abs(sigmas[0] - 80) < 1e-9 and abs(sigmas[-1] - 0.002) < 1e-9
    final = pixels(studio, studio.get(f"/api/v1/images/{images[0]}"))
    # The last estimate is the image; the first is far from it.
    assert abs(pixels(studio, {"url": steps[-1]["estimate"]}) - final).max() <= 1
    assert abs(pixels(studio, {"url": steps[0]["estimate"]}) - final).max() > 40
    assert pixels(studio, {"url": steps[3]["difference"]}).max() == 255 and steps[0]["difference"] is None
    # The grid from a state on is the rest of the grid: a branch with the same settings makes the same image.
    (same,) = studio.sample(seeds=[5], classes=[3], steps=5, branch={"job": job, "step": 3})
    assert abs(pixels(studio, same) - final).max() <= 2
    (other,) = studio.sample(seeds=[5], classes=[8], steps=5, branch={"job": job, "step": 1})
    assert abs(pixels(studio, other) - final).max() > 40
    assert other["settings"]["branch"] == {"job": job, "step": 1, "image": 0}
    for branch in ({"job": job, "step": 9}, {"job": "../../etc", "step": 1}):
        assert studio.post("/api/v1/jobs", {"kind": "sample", "spec": {"branch": branch}}, 400)["field"] == "branch"
    latent = studio.submit(model="fashion-latent", seeds=[1], classes=[1], sampler="heun", steps=4, keep_steps=True)
    studio.wait(latent)
    assert pixels(studio, {"url": studio.get(f"/api/v1/jobs/{latent}/steps")["steps"][3]["noisy"]}).shape == (32, 32)


def whole(folder):
    """The gallery's own check, and that every finished job has all of its images."""
    database = sqlite3.connect(folder / "gallery.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for job, spec, state in database.execute("SELECT id, spec, state FROM jobs").fetchall():
        held = [png for (png,) in database.execute("SELECT png FROM images WHERE job = ?", (job,))]
        assert len(held) == (len(json.loads(spec)["seeds"]) if state == "done" else 0)
        for png in held:
            Image.open(io.BytesIO(png)).load()
    states = [state for (state,) in database.execute("SELECT state FROM jobs ORDER BY number")]
    database.close()
    return states


def test_a_stop_keeps_unfinished_jobs(start):
    studio = start()
    done = studio.submit(seeds="0-3")
    studio.wait(done)
    running = studio.submit(seeds="0-63", steps=40)
    waiting = studio.submit(seeds="5-6", steps=3)
    began = time.monotonic()
    assert studio.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 20
    assert whole(studio.folder) == ["done", "queued", "queued"]
    again = start()
    again.post(f"/api/v1/jobs/{running}/cancel", {}, 202)
    again.wait(running, "cancelled")
    assert len(again.wait(waiting)["images"]) == 2 and len(again.get(f"/api/v1/jobs/{done}")["images"]) == 4


def test_killed_at_any_time_the_gallery_is_whole(start):
    for delay in (0.03, 0.2):
        studio = start()
        jobs = [studio.submit(seeds="0-7", steps=steps) for steps in (2, 3, 4, 5)]
        time.sleep(delay)
        assert studio.stop(signal.SIGKILL) == -signal.SIGKILL
        whole(studio.folder)
    studio = start()
    for job in jobs:
        studio.wait(job)
    assert studio.stop() == 0
    assert set(whole(studio.folder)) == {"done"}


def test_a_job_that_ends_the_server_is_given_up(start):
    """As far as the next server can know: it was running each time."""
    studio = start()
    job = studio.submit(seeds="0-63", steps=900)
    for _ in range(3):
        end = time.monotonic() + PATIENCE
        while studio.get(f"/api/v1/jobs/{job}")["state"] != "running":
            assert time.monotonic() < end
            time.sleep(0.02)
        studio.stop(signal.SIGKILL)
        studio = start()
    assert "ended 3 times" in studio.wait(job, "failed")["error"]["detail"]
    assert studio.sample()


def test_one_server_has_a_folder(start):
    studio = start()
    other = subprocess.run([BINARY, "serve", "--port", "0", "--data", studio.folder, "--quiet"], capture_output=True, text=True)
    assert other.returncode == 2 and "another server is using this folder" in other.stderr
    taken = subprocess.run([BINARY, "serve", "--port", str(studio.port), "--data", studio.folder.parent / "x", "--quiet"],
                           capture_output=True, text=True)
    assert taken.returncode == 1 and f":{studio.port}: cannot be listened on" in taken.stderr

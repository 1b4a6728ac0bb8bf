"""Attention over HTTP against the networks in numpy (network.py): for random layers, pixels, noise levels and classes."""

import base64
import concurrent.futures
import io
import random

import network
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from test_runs import write_run

CASES = [("fashion-mnist", 1), ("fashion-mnist", 2), ("fashion-latent", 3)]


def image_of(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


def chosen(name, number):
    """A random request."""
    rng = random.Random(f"{name} {number}")
    net = network.load(name)
    spec = {"model": name, "seed": rng.randrange(1000), "class": rng.randrange(10), "sigma": round(10 ** rng.uniform(-1, 1), 3),
            "pixel": [rng.random(), rng.random()]}
    return rng, net, spec


def layer_file(studio, spec):
    reply = studio.ask("POST", "/api/v1/attention/npz", spec)
    assert reply.status == 200 and reply.headers["content-type"] == "application/zip", reply.body
    return np.load(io.BytesIO(reply.body))


@pytest.mark.parametrize(("name", "number"), CASES)
def test_numbers_are_those_of_the_network(studio, name, number):
    rng, net, spec = chosen(name, number)
    found = studio.post("/api/v1/attention", spec)
    spec["layer"] = rng.choice([layer["name"] for layer in found["layers"]])
    found, file = studio.post("/api/v1/attention", spec), layer_file(studio, spec)
    d = net.denoise(file["x"].astype(np.float64), found["sigma"], spec["class"])
    np.testing.assert_allclose(file["denoised"], d, atol=2e-4 * max(1, np.abs(d).max()))
    ours, info = net.layers[spec["layer"]], next(i for i in found["layers"] if i["name"] == spec["layer"])
    w, side = info["window"], info["side"]
    assert (w, info["heads"]) == (ours["window"], ours["attention"].shape[1])
    for part in ("q", "k", "v", "bias", "attention"):
        np.testing.assert_allclose(file[part], ours[part], atol=2e-4 * max(1, np.abs(ours[part]).max()), err_msg=part)
    # The row of the pixel, in every layer.
    for pixel in found["pixels"]:
        layer, other = net.layers[pixel["layer"]], next(i for i in found["layers"] if i["name"] == pixel["layer"])
        row, column = (int(share * other["side"]) for share in spec["pixel"])
        window = other["window"]
        assert (pixel["row"], pixel["column"]) == (row, column)
        assert (pixel["top"], pixel["left"]) == (row // window * window, column // window * window)
        place = row // window * (other["side"] // window) + column // window
        wanted = layer["attention"][place, :, row % window * window + column % window]
        np.testing.assert_allclose(pixel["attention"], wanted, atol=2e-4, err_msg=pixel["layer"])
        expected = network.measures(layer)
        for measure in ("entropy", "distance", "agreement"):
            np.testing.assert_allclose(pixel["measures"][measure], expected[measure], atol=1e-3, err_msg=measure)
        for what, share in expected["time_share"].items():
            assert abs(pixel["measures"]["time_share"][what] - share) < 2e-3, (pixel["layer"], what)
        assert pixel["measures"]["on_time"] == [0] * other["heads"] and not other["time_key"]
    # The bias by offset of the key from the query.
    bias = np.array(found["bias"])
    assert bias.shape == (info["heads"], 2 * w - 1, 2 * w - 1) and side % w == 0
    dy, dx, head = rng.randrange(1 - w, w), rng.randrange(1 - w, w), rng.randrange(info["heads"])
    assert abs(bias[head, w - 1 + dy, w - 1 + dx] - ours["table"][(w - 1 - dy) * (2 * w - 1) + w - 1 - dx, head]) < 1e-5


@pytest.mark.parametrize(("name", "number"), CASES)
def test_counterfactuals_are_those_of_the_network(studio, name, number):
    rng, net, spec = chosen(name, number)
    layers = studio.post("/api/v1/attention", spec)["layers"]
    layer = rng.choice(layers)
    file = layer_file(studio, spec)
    x, sigma = file["x"].astype(np.float64), float(file["sigma"])
    base = net.denoise(x, sigma, spec["class"])
    other = 7.5
    token = net.token(np.log(other) / 4 if name == "fashion-mnist" else int(np.abs(network.LatentNetwork.sigmas - other).argmin()), spec["class"])
    head = rng.randrange(layer["heads"])
    for change, ours in (({"layer": layer["name"], "time_sigma": other}, {"layer": layer["name"], "time": token}),
                         ({"time_sigma": other}, {"layer": None, "time": token}),
                         ({"layer": layer["name"], "zero_bias": True}, {"layer": layer["name"], "zero_bias": True}),
                         ({"layer": layer["name"], "heads_off": [head]}, {"layer": layer["name"], "heads_off": [head]})):
        changed = net.denoise(x, sigma, spec["class"], ours)
        wanted = np.linalg.norm(changed - base) / np.linalg.norm(base)
        found = studio.post("/api/v1/attention/counterfactual", {**spec, "change": change})
        assert abs(found["difference"] - wanted) < 1e-3 * wanted + 2e-5, (change, found["difference"], wanted)
        assert wanted > 1e-5, change
    # Afterwards the model is as before; a whole sample is that of a job.
    assert studio.post("/api/v1/attention", spec)["pixels"] == studio.post("/api/v1/attention", spec)["pixels"]
    np.testing.assert_array_equal(layer_file(studio, spec)["denoised"], file["denoised"])
    if name == "fashion-mnist":
        found = studio.post("/api/v1/attention/counterfactual", {**spec, "change": {"zero_bias": True}, "steps": 4})
        (image,) = studio.sample(model=name, seeds=[spec["seed"]], classes=[spec["class"]], steps=4)
        made = np.asarray(Image.open(io.BytesIO(studio.ask("GET", image["url"]).body)))
        np.testing.assert_array_equal(image_of(found["sample"]), made)
        assert found["sample_difference"] > 0 and (image_of(found["changed_sample"]) != made).any()


def test_the_noise_is_the_same_at_every_level(studio):
    pixels = np.random.default_rng(3).integers(0, 256, (32, 32), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    spec = {"image": base64.b64encode(buffer.getvalue()).decode(), "seed": 5, "class": None}
    low, high = (layer_file(studio, {**spec, "sigma": sigma}) for sigma in (0.5, 4))
    noise = (high["x"] - low["x"]) / 3.5
    assert abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.1
    np.testing.assert_allclose(low["x"] - 0.5 * noise, pixels[None] / 127.5 - 1, atol=1e-5)
    assert int(low["label"]) == 10
    np.testing.assert_array_equal(image_of(studio.post("/api/v1/attention", {**spec, "sigma": 1})["clean"]), pixels)
    # Without an image, x_0 is the model's own sample.
    (image,) = studio.sample(seeds=[5], classes=[3], steps=18)
    made = np.asarray(Image.open(io.BytesIO(studio.ask("GET", image["url"]).body)))
    np.testing.assert_array_equal(image_of(studio.post("/api/v1/attention", {"seed": 5, "class": 3})["clean"]), made)


def test_curves_are_the_measures_of_each_level(studio):
    spec = {"seed": 1, "class": "Bag"}
    curves = studio.post("/api/v1/attention/curves", {**spec, "levels": 3, "sigma_min": 0.1, "sigma_max": 10})
    np.testing.assert_allclose(curves["sigmas"], [0.1, 1, 10], rtol=1e-9)
    for sigma, level in zip(curves["sigmas"], curves["levels"]):
        pixels = studio.post("/api/v1/attention", {**spec, "sigma": sigma})["pixels"]
        assert [{"layer": p["layer"], "measures": p["measures"]} for p in pixels] == level
    shares = [level[2]["measures"]["time_share"]["scores"] for level in curves["levels"]]
    assert len(set(shares)) == 3
    one = studio.post("/api/v1/attention/curves", {**spec, "levels": 2, "layer": "decoder.0.blocks.0", "all_layers": False})
    assert [[entry["layer"] for entry in level] for level in one["levels"]] == [["decoder.0.blocks.0"]] * 2


@pytest.mark.parametrize(("path", "body", "field"), [
    ("", {"model": "x"}, "model"), ("", {"model": "runs/../../etc/passwd"}, "model"), ("", {"model": "runs/a/../b.safetensors"}, "model"),
    ("", {"sigma": 0}, "sigma"), ("", {"sigma": "x"}, "sigma"), ("", {"pixel": [1, 0]}, "pixel"), ("", {"pixel": [0]}, "pixel"),
    ("", {"pixel": ["a", 0]}, "pixel"), ("", {"class": 10}, "class"), ("", {"class": "zebra"}, "class"), ("", {"class": None}, "class"),
    ("", {"seed": -1}, "seed"), ("", {"layer": "<b>"}, "layer"), ("", {"image": "!!"}, "image"), ("", {"image": "aGVsbG8="}, "image"),
    ("", {"nonsense": 1}, "nonsense"), ("/curves", {"levels": 1}, "levels"), ("/curves", {"levels": 1000}, "levels"),
    ("/curves", {"sigma_min": 3, "sigma_max": 2}, "sigma_min"), ("/counterfactual", {}, "change"), ("/counterfactual", {"change": []}, "change"),
    ("/counterfactual", {"change": {}}, "change"), ("/counterfactual", {"change": {"heads_off": [0]}}, "heads_off"),
    ("/counterfactual", {"change": {"layer": "encoder.0.blocks.0", "heads_off": [2]}}, "heads_off"),
    ("/counterfactual", {"change": {"time_sigma": -1}}, "time_sigma"), ("/counterfactual", {"change": {"zero_bias": True}, "steps": 1}, "steps"),
    ("/counterfactual", {"change": {"zero_bias": True}, "steps": 101}, "steps"), ("/npz", {"layer": "x"}, "layer")])
def test_wrong_fields_are_named(studio, path, body, field):
    reply = studio.ask("POST", "/api/v1/attention" + path, body)
    assert reply.status == 400 and reply.json["field"] == field, reply.body


def test_jobs_run_beside_it(studio):
    """Attention in its own thread changes no sample, and samples change no attention."""
    spec = {"model": "fashion-mnist", "seed": 4, "class": 4}
    (alone,) = studio.sample(seeds=[21], classes=[2], steps=30)
    before = studio.post("/api/v1/attention", spec)
    job = studio.submit(seeds="21-24", classes=[2], steps=30)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda i: studio.post("/api/v1/attention", {**spec, "pixel": [0.5, 0.5]}), range(12)))
    assert all(answer == before for answer in answers)
    images = studio.wait(job)["images"]
    made, wanted = (studio.ask("GET", f"/api/v1/images/{i}/png").body for i in (images[0], alone["id"]))
    np.testing.assert_allclose(np.asarray(Image.open(io.BytesIO(made))).astype(int), np.asarray(Image.open(io.BytesIO(wanted))).astype(int), atol=1)


def test_snapshots_of_trainings(start, tmp_path):
    write_run(tmp_path / "runs/mine", "")
    for file in ("snapshot-000001000-ema.safetensors", "snapshot-000002000-ema.safetensors", "snapshot-000002000.safetensors"):
        (tmp_path / "runs/mine" / file).symlink_to(ROOT / "models/fashion-mnist.safetensors")
    (tmp_path / "runs/mine/snapshot-000003000-ema.safetensors").write_text("damaged")
    (tmp_path / "runs/mine/snapshot-x.safetensors").write_text("")
    studio = start("-m", "fashion-latent", runs=tmp_path / "runs")
    models = studio.get("/api/v1/attention/models")["models"]
    assert [(m["name"], m["run"], m["weights"], m["images"]) for m in models] == [
        ("fashion-latent", None, "", None), *((f"runs/mine/snapshot-00000{n}000{'-' * bool(w)}{w}.safetensors", "mine", w, 1000 * n)
                                              for w, n in (("", 2), ("ema", 1), ("ema", 2), ("ema", 3)))]
    found = studio.post("/api/v1/attention", {"model": "runs/mine/snapshot-000001000-ema.safetensors", "class": 8})
    assert found["class_names"] == [str(label) for label in range(10)] and len(found["layers"]) == 5
    assert studio.ask("POST", "/api/v1/attention", {"model": "runs/mine/snapshot-000003000-ema.safetensors"}).json["field"] == "model"
    # Nothing of an export stays.
    layer_file(studio, {"model": "fashion-latent"})
    assert not list(studio.folder.glob("*.npz"))

"""diffit explain --time: what TMSA does with time, measured on the bundled model and on models without it."""

from PIL import Image

from conftest import refused, run


def explain(model, *options):
    return run("explain", "-m", model, "--time", "--levels", "4", "-n", "4", "--json", *options).json


def test_the_bundled_model_uses_time_in_attention():
    """TMSA does what it is for: training makes attention depend on the noise level, in every layer far more than
    at its start, and queries, keys and values move with it."""
    told = explain("fashion-mnist")
    assert told["time"] == "tmsa"
    trained, untrained = told["trained"], told["untrained"]
    assert len(trained["layers"]) == len(untrained["layers"]) == 5
    # Before training the token's projection is next to nothing (the time MLP starts at 0.02).
    assert untrained["mean_attention"] < 0.01
    assert trained["mean_attention"] > 10 * untrained["mean_attention"]
    for layer in trained["layers"]:
        for part in ("attention", "q", "k", "v"):
            assert max(layer[part]) > 0.02, f"{layer['layer']}: {part} does not move with time"


def test_a_model_without_time_in_attention_does_not_move(tmp_path, small_data):
    out = tmp_path / "run"
    run("train", "smoke", "--data", small_data, "--out", out, "--threads", "2", "--set", "train.batch=8", "--set",
        "train.dtype=f32", "--set", "train.images=16", "--set", "model.time=mlp")
    (model,) = out.glob("snapshot-000000016-ema.safetensors")
    told = explain(model, "--data", small_data)
    for layer in told["trained"]["layers"]:
        for part in ("attention", "q", "k", "v"):
            assert layer[part] == [0, 0, 0, 0]
        assert min(layer["reach"]) > 0


def test_pages_and_pictures(tmp_path, image_model):
    for name in ("time.html", "time.svg", "time.png"):
        run("explain", "-m", image_model, "--time", "--levels", "3", "-n", "2", "-o", tmp_path / name)
    assert "</html>" in (tmp_path / "time.html").read_text()
    assert (tmp_path / "time.svg").read_text().startswith("<svg") or "<svg" in (tmp_path / "time.svg").read_text()
    assert (tmp_path / "time.png").read_bytes().startswith(b"\x89PNG")


def test_ddpmpp_trains_samples_and_has_no_blocks_to_look_into(tmp_path, small_data):
    """Under each preconditioning; what it samples is finite and of the noise levels that it knows."""
    for precondition in ("vp", "ve"):
        out = tmp_path / precondition
        run("train", "smoke", "--data", small_data, "--out", out, "--set", "train.batch=8", "--set", "train.dtype=f32",
            "--set", "train.images=16", "--set", "model.encoder=ddpmpp", "--set", "model.decoder=ddpmpp", "--set",
            f"model.precondition={precondition}", "--set", "model.time=add")
        (model,) = out.glob("snapshot-000000016-ema.safetensors")
        assert run("info", model, "--json").json["config"]["precondition"] == precondition
        run("sample", "-m", model, "-n", 4, "--steps", 3, "-o", tmp_path / f"{precondition}.npz")
        refused("explain", "-m", model, "--time", mentions=["ddpmpp"])
    refused("train", "smoke", "--data", small_data, "--out", tmp_path / "out", "--set", "model.precondition=vp", "--set",
            "loss.noise_mean=-1", mentions=["loss.noise_mean", "precondition"])


def test_refused(tmp_path, image_model, latent_model, small_data):
    refused("explain", "-m", image_model, mentions=["--time"])
    refused("explain", "-m", latent_model, "--time", mentions=["latent"])
    (tmp_path / "colour").mkdir()
    Image.new("RGB", (28, 28), (200, 10, 10)).save(tmp_path / "colour" / "red.png")
    refused("explain", "-m", "fashion-mnist", "--time", "--data", tmp_path / "colour", mentions=["colour"])
    refused("explain", "-m", image_model, "--time", "--sigma-min", "3", "--sigma-max", "2", mentions=["--sigma-max"])
    refused("explain", "-m", image_model, "--time", "-n", "1", "-o", tmp_path / "x.txt", mentions=[".html"])

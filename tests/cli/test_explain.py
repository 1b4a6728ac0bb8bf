"""diffit explain --time: what TMSA does with time, measured on the bundled model and on models without it."""

from PIL import Image

from conftest import refused, run


def test_time_is_what_is_shown_where_nothing_else_is_asked_for(image_model):
    asked = ["explain", "-m", image_model, "--levels", "2", "-n", "2", "--json"]
    assert run(*asked).json == run(*asked, "--time").json


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


def test_the_bundled_latent_model_uses_time_and_looks_far_in_noise_only(small_data):
    """TMSA in the latent model: the paper's figure of attention maps, global in noise and local near the picture."""
    own = explain("fashion-latent")
    told = explain("fashion-latent", "--data", small_data)
    for result in (own, told):
        trained, untrained = result["trained"], result["untrained"]
        assert [layer["layer"] for layer in trained["layers"]] == [f"blocks.{i}" for i in range(6)]
        assert untrained["mean_attention"] < 0.01 and trained["mean_attention"] > 10 * untrained["mean_attention"]
        reach = [sum(layer["reach"][level] for layer in trained["layers"]) / 6 for level in (0, -1)]
        assert reach[0] < 0.8 * reach[1]


def test_ddpmpp_trains_samples_and_is_looked_into(tmp_path, small_data):
    """Under each preconditioning; what it samples is finite and of the noise levels that it knows."""
    for precondition in ("vp", "ve"):
        out = tmp_path / precondition
        run("train", "smoke", "--data", small_data, "--out", out, "--set", "train.batch=8", "--set", "train.dtype=f32",
            "--set", "train.images=16", "--set", "model.encoder=ddpmpp", "--set", "model.decoder=ddpmpp", "--set",
            f"model.precondition={precondition}", "--set", "model.time=add")
        (model,) = out.glob("snapshot-000000016-ema.safetensors")
        assert run("info", model, "--json").json["config"]["precondition"] == precondition
        run("sample", "-m", model, "-n", 4, "--steps", 3, "-o", tmp_path / f"{precondition}.npz")
        layers = explain(model)["trained"]["layers"]
        assert "middle.0" in [layer["layer"] for layer in layers]
        assert all(moved == 0 for layer in layers for moved in layer["attention"])  # time is added elsewhere
    refused("train", "smoke", "--data", small_data, "--out", tmp_path / "out", "--set", "model.precondition=vp", "--set",
            "loss.noise_mean=-1", mentions=["loss.noise_mean", "precondition"])


def test_refused(tmp_path, image_model, latent_model, small_data):
    refused("explain", "-m", latent_model, "--time", "--data", small_data, mentions=["--vae"])
    refused("explain", "-m", "fashion-latent", "--time", "--vae", "fashion-vae", mentions=["--data"])
    refused("explain", "-m", image_model, "--time", "--vae", "fashion-vae", mentions=["image-space"])
    (tmp_path / "colour").mkdir()
    Image.new("RGB", (28, 28), (200, 10, 10)).save(tmp_path / "colour" / "red.png")
    refused("explain", "-m", "fashion-mnist", "--time", "--data", tmp_path / "colour", mentions=["colour"])
    refused("explain", "-m", image_model, "--time", "--sigma-min", "3", "--sigma-max", "2", mentions=["--sigma-max"])
    refused("explain", "-m", image_model, "--time", "-n", "1", "-o", tmp_path / "x.txt", mentions=[".html"])

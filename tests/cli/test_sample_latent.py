"""diffit sample on latent models: samplers, guidance, presets, the autoencoder, outputs that go on after a kill."""

import json
import pathlib
import signal
import time

import formats
import numpy as np
import pytest
from conftest import GOLDEN, refused, run, split_golden, start
from PIL import Image

pytestmark = pytest.mark.smoke

ABAR = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
SAMPLERS = ["ddpm", "ddim", "dpmpp2m", "unipc", "heun", "euler"]


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    """A small autoencoder of four latent channels: pictures are four times as wide as latents."""
    tensors, metadata = formats.read_safetensors(GOLDEN / "vae/small.safetensors")
    path = tmp_path_factory.mktemp("vae") / "vae.safetensors"
    weights = {name[8:]: value for name, value in tensors.items() if name.startswith("weights.")}
    formats.write_safetensors(path, weights, {"diffit.config": metadata["diffit.config"]})
    return path


def variant(path, seed=0, **config):
    """The golden latent model under another configuration, or other golden weights."""
    weights, metadata, _, _ = split_golden("latent", seed)
    stated = {**json.loads(metadata["diffit.config"]), **config}
    formats.write_safetensors(path, weights, {**metadata, "diffit.config": json.dumps(stated)})
    return path


def unconditional(path):
    weights, metadata, _, _ = split_golden("latent")
    stated = {**json.loads(metadata["diffit.config"]), "classes": 0}
    table = weights["y_embedder.embedding_table.weight"]
    formats.write_safetensors(path, {**weights, "y_embedder.embedding_table.weight": table[:1]},
                              {"diffit.config": json.dumps(stated)})
    return path


def sample(folder, model, *options, name="s.safetensors", **named):
    run("sample", "-m", model, "-o", folder / name, "--dtype", "f32", *options, **named)
    return formats.read_safetensors(folder / name)[0]["samples"] if name.endswith(".safetensors") else folder / name


def near(one, other, bound=1e-3):
    """The same beyond rounding: a dozen evaluations of a network in float32, in numbers of order one."""
    return one.shape == other.shape and np.abs(one - other).max() <= bound * max(1, np.abs(other).max())


class Network:
    """eps and the variance range by `diffit denoise`: what the sampler must have been given."""

    def __init__(self, folder, model, labels, guidance=()):
        self.folder, self.model, self.labels, self.guidance = folder, model, labels, guidance

    def __call__(self, x, t):
        formats.write_safetensors(self.folder / "in.safetensors",
                                  {"x": x.astype(np.float32), "t": np.full(len(x), t, np.float32),
                                   "y": np.array(self.labels, np.int64)})
        run("denoise", "-m", self.model, "-i", self.folder / "in.safetensors", "-o", self.folder / "out.safetensors",
            "--dtype", "f32", *self.guidance)
        out = formats.read_safetensors(self.folder / "out.safetensors")[0]
        eps, v = np.split(out["forward"].astype(np.float64), 2, axis=1)
        return (out["guided"].astype(np.float64) if "guided" in out else eps), v


def noises(folder, steps, count=2):
    rng = np.random.default_rng(3)
    start_noise = rng.standard_normal((count, 4, 8, 8)).astype(np.float32)
    step_noise = rng.standard_normal((steps, count, 4, 8, 8)).astype(np.float32)
    formats.write_safetensors(folder / "init.safetensors", {"noise": start_noise})
    formats.write_safetensors(folder / "step.safetensors", {"noise": step_noise})
    return start_noise.astype(np.float64), step_noise.astype(np.float64), \
        ["-n", str(count), "--init-noise", folder / "init.safetensors", "--step-noise", folder / "step.safetensors"]


def test_ddpm_is_the_released_loop(latent_model, tmp_path):
    steps, guidance = 4, ["--guidance", "4.4", "--guidance-schedule", "power-cosine:4"]
    x, rows, options = noises(tmp_path, steps)
    got = sample(tmp_path, latent_model, "--steps", steps, "--classes", "3,7", "--guidance-tolerance", "0", *guidance,
                 *options)
    network = Network(tmp_path, latent_model, [3, 7], guidance)
    times = [0, 333, 666, 999]
    a = ABAR[times]
    before = np.append(1, a[:-1])
    beta = 1 - a / before
    variance = beta * (1 - before) / (1 - a)
    for k, i in enumerate(reversed(range(steps))):
        eps, v = network(x, times[i])
        x0 = (x - np.sqrt(1 - a[i]) * eps) / np.sqrt(a[i])
        mean = (beta[i] * np.sqrt(before[i]) * x0 + (1 - before[i]) * np.sqrt(1 - beta[i]) * x) / (1 - a[i])
        f = (v + 1) / 2
        log_variance = f * np.log(beta[i]) + (1 - f) * np.log(variance[max(i, 1)])
        x = mean + (np.exp(log_variance / 2) * rows[k] if i > 0 else 0)
    assert near(got, x)


def test_ddim_takes_the_timesteps_that_it_says(latent_model, tmp_path):
    x, _, options = noises(tmp_path, 4)
    got = sample(tmp_path, latent_model, "--sampler", "ddim", "--steps", "4", "--classes", "3,7", *options)
    network = Network(tmp_path, latent_model, [3, 7])
    for t, after in [(750, 500), (500, 250), (250, 0), (0, None)]:
        eps, _ = network(x, t)
        a, to = ABAR[t], 1 if after is None else ABAR[after]
        x = np.sqrt(to) * (x - np.sqrt(1 - a) * eps) / np.sqrt(a) + np.sqrt(1 - to) * eps
    assert near(got, x)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_picture_does_not_depend_on_batch_or_order(sampler, latent_model, tmp_path):
    options = ["--sampler", sampler, "--steps", "3", "--guidance", "2"]
    options += {"ddim": ["--eta", "0.7"], "heun": ["--churn", "1"], "euler": ["--churn", "1"]}.get(sampler, [])
    whole = sample(tmp_path, latent_model, "--seeds", "0-4", "--classes", "1", *options)
    assert whole.shape == (5, 4, 8, 8) and whole.dtype == np.float32 and np.isfinite(whole).all()
    part = sample(tmp_path, latent_model, "--seeds", "4,1", "--classes", "1", "--batch", "1", *options)
    assert near(part, whole[[4, 1]]) and not near(whole[0], whole[1])


def test_channels_interval_and_tolerance_of_guidance(latent_model, tmp_path):
    def told(*options, scale="3"):
        return run("sample", "-m", latent_model, "-o", tmp_path / "x.safetensors", "--sampler", "ddim", "--steps", "10",
                   "--classes", "1", "--guidance", scale, *options, "--json").json

    plain = told(scale="1")
    assert (plain["evaluations"], plain["evaluations_saved"]) == (10, 0)
    assert told()["evaluations"] == 20
    inside = told("--guidance-interval", "t:100,500")
    assert (inside["evaluations"], inside["evaluations_saved"]) == (15, 5)
    assert told("--guidance-interval", "step:0.2,0.5")["evaluations"] == 13
    sigma = np.sqrt((1 - ABAR[:1000:100]) / ABAR[:1000:100])
    wanted = int(((sigma > 0.3) & (sigma <= 2)).sum())
    assert told("--guidance-interval", "0.3,2")["evaluations"] == 10 + wanted
    assert told("--guidance-schedule", "power-cosine")["evaluations_saved"] == 3  # t = 900, 800, 700
    assert told("--guidance-schedule", "power-cosine", "--guidance-tolerance", "0")["evaluations_saved"] == 0


def test_leaving_the_unconditional_half_out_changes_little(latent_model, tmp_path):
    options = ["--steps", "40", "--classes", "1", "--guidance", "4.4", "--guidance-schedule", "power-cosine"]
    left_out = sample(tmp_path, latent_model, *options)
    computed = sample(tmp_path, latent_model, *options, "--guidance-tolerance", "0")
    assert near(left_out, computed, 2e-3) and not np.array_equal(left_out, computed)


def test_a_third_of_the_released_preset_is_saved(latent_model, tmp_path):
    told = run("sample", "-m", variant(tmp_path / "m.safetensors"), "-o", tmp_path / "x.safetensors", "--classes", "1",
               "--guidance", "4.4", "--guidance-schedule", "power-cosine:4", "--json").json
    assert told["made_by"]["sampler"] == "ddpm" and told["made_by"]["steps"] == 250
    assert told["evaluations"] + told["evaluations_saved"] == 500 and 0.3 < told["evaluations_saved"] / 250 < 0.36


def test_autoguidance_leads_away_from_the_weaker_model(latent_model, tmp_path):
    weak = variant(tmp_path / "weak.safetensors", seed=1)
    options = ["--sampler", "ddim", "--steps", "4", "--classes", "2", "-n", "1"]
    main, other = sample(tmp_path, latent_model, *options), sample(tmp_path, weak, *options)
    none = sample(tmp_path, latent_model, *options, "--autoguidance", weak, "--guidance", "0")
    assert near(none, other)  # w = 0 is the weaker model
    led = sample(tmp_path, latent_model, *options, "--autoguidance", weak, "--guidance", "2")
    assert not near(led, main) and not near(led, other)
    itself = sample(tmp_path, latent_model, *options, "--autoguidance", latent_model, "--guidance", "2")
    assert near(itself, main)


def test_autoguidance_of_image_models(image_model, tmp_path):
    options = ["--steps", "3", "--classes", "2", "-n", "1"]
    main = sample(tmp_path, image_model, *options)
    itself = sample(tmp_path, image_model, *options, "--autoguidance", image_model, "--guidance", "3")
    assert near(itself, main)


def test_an_unconditional_model_makes_latents(tmp_path):
    model = unconditional(tmp_path / "m.safetensors")
    assert np.isfinite(sample(tmp_path, model, "--sampler", "unipc", "--steps", "3", "-n", "2")).all()
    refused("sample", "-m", model, "-o", tmp_path / "x.safetensors", "--guidance", "2", mentions=["unconditional"])
    refused("sample", "-m", model, "-o", tmp_path / "x.safetensors", "--classes", "1", mentions=["unconditional"])


def test_pictures_are_decoded_latents(latent_model, vae, tmp_path):
    options = ["--sampler", "dpmpp2m", "--steps", "3", "--seeds", "0-2", "--classes", "1,2"]
    latents = sample(tmp_path, latent_model, *options)
    formats.write_safetensors(tmp_path / "latents.safetensors", {"latents": latents})
    picture = np.load(sample(tmp_path, latent_model, *options, "--vae", vae, name="x.npz"))
    assert picture["arr_0"].shape == (3, 32, 32, 3) and picture["arr_0"].dtype == np.uint8
    assert picture["arr_1"].tolist() == [1, 2, 1]
    folder = sample(tmp_path, latent_model, *options, "--vae", vae, name="folder/")
    assert [path.name for path in sorted(folder.iterdir())] == ["000000.png", "000001.png", "000002.png"]
    for path, pixels in zip(sorted(folder.iterdir()), picture["arr_0"]):
        assert np.array_equal(np.array(Image.open(path)), pixels)
    told = json.loads(formats.png_text(folder / "000001.png")["diffit"])
    assert told["seeds"] == [1] and told["classes"] == [2] and told["sampler"] == "dpmpp2m" and "vae" in told
    dark = np.load(sample(tmp_path, latent_model, *options, "--vae", vae, "--rounding", "truncate", name="y.npz"))
    difference = picture["arr_0"].astype(int) - dark["arr_0"]
    assert set(np.unique(difference)) == {0, 1}


def test_the_autoencoder_beside_the_model_is_found(vae, tmp_path):
    model = variant(tmp_path / "mine.safetensors")
    refused("sample", "-m", model, "-o", tmp_path / "x.png", "--steps", "2", mentions=["--vae", ".safetensors"])
    (tmp_path / "mine-vae.safetensors").write_bytes(vae.read_bytes())
    assert Image.open(sample(tmp_path, model, "--steps", "2", "--classes", "1", name="x.png")).size == (32, 32)


def test_presets_pin_the_released_commands(tmp_path):
    model = variant(tmp_path / "m.safetensors")
    refused("sample", "-m", model, "-o", tmp_path / "x.safetensors", "--preset", "diffit-256", mentions=["32x32", "8x8"])
    refused("sample", "-m", model, "-o", tmp_path / "x.safetensors", "--preset", "diffit-257", mentions=["diffit-256"])
    mine = tmp_path / "mine.toml"
    mine.write_text('[model]\ninput_size = 8\n[sample]\nsampler = "ddim"\nsteps = 5\nguidance = 2.0\n')
    told = run("sample", "-m", model, "-o", tmp_path / "x.safetensors", "--preset", mine, "--guidance", "3", "--classes",
               "1", "--json").json["made_by"]
    assert (told["sampler"], told["steps"], told["guidance"], told["guidance_channels"]) == ("ddim", 5, 3.0, 3)
    mine.write_text("[sample]\nsetps = 5\n")
    refused("sample", "-m", model, "-o", tmp_path / "x.safetensors", "--preset", mine, mentions=["setps", "steps"])


def test_the_presets_that_ship_are_read(latent_model, tmp_path):
    for name, size in [("diffit-256", "32x32"), ("diffit-512", "64x64")]:
        refused("sample", "-m", latent_model, "-o", tmp_path / "x.safetensors", "--preset", name, mentions=[name, size])


@pytest.mark.parametrize("options, mentions", [
    (["--steps", "0"], ["steps", "0"]),
    (["--steps", "1"], ["steps", "2"]),
    (["--steps", "1001"], ["steps", "1000"]),
    (["--sampler", "unipc", "--steps", "1000"], ["steps", "999"]),
    (["--sampler", "dpm"], ["dpm", "dpmpp2m"]),
    (["--classes", "10"], ["10", "9"]),
    (["--classes", "-1"], ["-1"]),
    (["--guidance", "-1"], ["guidance"]),
    (["--guidance", "2", "--guidance-interval", "3,1"], ["interval", "3", "1"]),
    (["--guidance", "2", "--guidance-interval", "t:300,100"], ["interval", "300"]),
    (["--guidance", "2", "--guidance-interval", "step:0,2"], ["interval", "2"]),
    (["--guidance", "2", "--guidance-interval", "x:0,2"], ["interval", "x:0,2"]),
    (["--guidance", "2", "--guidance-tolerance", "-1"], ["tolerance"]),
    (["--guidance-schedule", "cosine"], ["cosine", "power-cosine"]),
    (["--guidance-channels", "0"], ["channels"]),
    (["--sampler", "dpmpp2m", "--churn", "3"], ["churn", "dpmpp2m"]),
    (["--sampler", "unipc", "--eta", "1"], ["eta", "unipc"]),
    (["--sampler", "ddim", "--eta", "2"], ["eta", "2"]),
    (["--sampler", "ddpm", "--sigma-max", "50"], ["sigma-max", "ddpm"]),
    (["--sampler", "heun", "--spacing", "leading"], ["spacing", "heun"]),
    (["--sampler", "ddim", "--spacing", "even"], ["spacing", "even"]),
    (["--rounding", "up"], ["rounding", "up"]),
    (["--autoguidance", "nowhere.safetensors", "--guidance", "2"], ["nowhere"]),
    (["--vae", "nowhere.safetensors"], ["nowhere"]),
])
def test_wrong_values_are_refused_by_name(options, mentions, latent_model, tmp_path):
    refused("sample", "-m", latent_model, "-o", "x.safetensors", *options, cwd=tmp_path, mentions=mentions)
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_refused(latent_model, image_model, vae, tmp_path):
    refused("sample", "-m", latent_model, "-o", tmp_path / "x.safetensors", "--autoguidance", image_model, "--guidance",
            "2", mentions=["image"])
    refused("sample", "-m", latent_model, "-o", tmp_path / "x.safetensors", "--autoguidance", latent_model,
            mentions=["--guidance"])
    refused("sample", "-m", image_model, "-o", tmp_path / "x.png", "--vae", vae, mentions=["--vae"])
    refused("sample", "-m", image_model, "-o", tmp_path / "x.png", "--preset", "diffit-256", mentions=["latent"])
    refused("sample", "-m", image_model, "-o", tmp_path / "x.png", "--guidance", "2", "--guidance-interval", "t:1,2",
            mentions=["timesteps"])
    x, rows, options = noises(tmp_path, 2)
    refused("sample", "-m", latent_model, "-o", tmp_path / "x.safetensors", "--steps", "5", *options,
            mentions=["--step-noise", "4", "2"])
    assert not (tmp_path / "x.safetensors").exists() and not list(tmp_path.glob("*.part*"))


def test_latents_of_another_scale_are_not_decoded(vae, tmp_path):
    weights, metadata, _, _ = split_golden("latent")
    model = tmp_path / "m.safetensors"
    formats.write_safetensors(model, weights, {**metadata, "diffit.latent_scale": "0.5"})
    refused("sample", "-m", model, "-o", tmp_path / "x.png", "--vae", vae, "--steps", "2", mentions=["0.5", "0.18215"])


def test_an_autoencoder_of_other_channels_is_refused(latent_model, vae, tmp_path):
    weights, metadata, _, _ = split_golden("latent")
    model = tmp_path / "other.safetensors"
    formats.write_safetensors(model, weights, {**metadata, "diffit.vae_identity": "00000000"})
    refused("sample", "-m", model, "-o", tmp_path / "x.png", "--vae", vae, mentions=["00000000"])
    refused("sample", "-m", model, "-o", tmp_path / "x.png", "--vae", latent_model, mentions=["latent.safetensors"])


def test_weights_that_are_not_finite_make_no_picture(vae, tmp_path):
    weights, metadata, _, _ = split_golden("latent")
    weights["final_layer.linear.bias"] = np.full_like(weights["final_layer.linear.bias"], 3e38)
    formats.write_safetensors(tmp_path / "m.safetensors", weights, metadata)
    refused("sample", "-m", tmp_path / "m.safetensors", "-o", tmp_path / "x.npz", "--vae", vae, "--steps", "3", code=1,
            mentions=["finite"])
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


# Interrupted runs: x.npz, x.safetensors and dir/ go on where they stopped.

LONG = ["--sampler", "ddim", "--steps", "40", "--seeds", "0-23", "--classes", "random", "--batch", "4", "--dtype", "f32",
        "--threads", "1"]
GUIDED = ["--guidance", "2"]


def killed(folder, model, out, options, ready, how=signal.SIGKILL):
    process = start("sample", "-m", model, "-o", out, *options, cwd=folder)
    deadline = time.monotonic() + 60
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(how)
    process.wait()
    assert process.returncode != 0, "it was done before it could be interrupted"
    return process


@pytest.mark.parametrize("name, how", [("x.npz", signal.SIGKILL), ("x.npz", signal.SIGTERM),
                                       ("x.safetensors", signal.SIGKILL)])
def test_a_killed_run_goes_on_bit_for_bit(name, how, latent_model, vae, tmp_path):
    unguided = [*LONG, "--vae", vae]
    options = [*unguided, *GUIDED]
    whole = tmp_path / "whole"
    whole.mkdir()
    run("sample", "-m", latent_model, "-o", whole / name, *options)
    part = tmp_path / (name + ".part")
    process = killed(tmp_path, latent_model, name, options, lambda: part.exists() and part.stat().st_size > 0, how)
    if how == signal.SIGTERM:
        error = process.stderr.read()
        assert process.returncode == 1 and "same command again" in error, error
    assert not (tmp_path / name).exists() and part.exists()
    refused("sample", "-m", latent_model, "-o", name, *unguided, "--guidance", "3", cwd=tmp_path,
            mentions=["guidance", "--restart"])
    told = run("sample", "-m", latent_model, "-o", name, *options, "--json", cwd=tmp_path).json
    assert told["went_on_after"] >= 4 and told["went_on_after"] % 4 == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [*sorted([name, "whole"])]
    assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def blocked_signals(task):
    lines = (task / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("SigBlk:")).split()[1], 16)


def test_signals_do_not_reach_threads_that_compute(latent_model, vae, tmp_path):
    """A convolution of oneDNN may have the stack pointer in the heap, where a signal handler would write."""
    part, tasks = tmp_path / "x.npz.part", None
    process = start("sample", "-m", latent_model, "-o", "x.npz", *LONG[:-1], "2", "--vae", vae, cwd=tmp_path)
    while not (part.exists() and part.stat().st_size > 0) and process.poll() is None:
        time.sleep(0.002)
    tasks = {task.name: blocked_signals(task) for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()}
    while process.poll() is None:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.0002)
    error = process.stderr.read()
    assert process.returncode == 1 and "same command again" in error, error
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU):
        free = [name for name, mask in tasks.items() if not mask >> (number - 1) & 1]
        assert len(free) == 1 and free != [str(process.pid)], (number, tasks)


def test_restart_forgets_what_was_there(latent_model, vae, tmp_path):
    options = [*LONG, "--vae", vae]
    part = tmp_path / "x.npz.part"
    killed(tmp_path, latent_model, "x.npz", [*options, *GUIDED], lambda: part.exists() and part.stat().st_size > 0)
    told = run("sample", "-m", latent_model, "-o", "x.npz", *options, "--restart", "--json",
               cwd=tmp_path).json
    assert "went_on_after" not in told and [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_a_killed_folder_goes_on(latent_model, vae, tmp_path):
    options = [*LONG, "--vae", vae]
    run("sample", "-m", latent_model, "-o", tmp_path / "whole/", *options)
    folder = tmp_path / "x"
    killed(tmp_path, latent_model, "x/", options, lambda: (folder / "000005.png").exists())
    refused("sample", "-m", latent_model, "-o", "x/", *options, *GUIDED, cwd=tmp_path, mentions=["guidance"])
    told = run("sample", "-m", latent_model, "-o", "x/", *options, "--json", cwd=tmp_path).json
    assert told["went_on_after"] >= 4
    assert [path.name for path in sorted(folder.iterdir())] == [f"{i:06}.png" for i in range(24)]
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes(), path.name


def test_another_model_under_the_same_name_is_noticed(vae, tmp_path):
    model = variant(tmp_path / "m.safetensors")
    options = [*LONG, "--vae", vae]
    part = tmp_path / "x.npz.part"
    killed(tmp_path, model, "x.npz", options, lambda: part.exists() and part.stat().st_size > 0)
    variant(model, seed=1)
    refused("sample", "-m", model, "-o", "x.npz", *options, cwd=tmp_path, mentions=["files", "--restart"])


def test_memory_does_not_grow_with_the_number_of_pictures(latent_model, vae, tmp_path):
    options = ["--sampler", "ddim", "--steps", "1", "--classes", "random", "--batch", "32", "--vae", vae, "--threads", "1"]
    few = run("sample", "-m", latent_model, "-o", tmp_path / "x.npz", "-n", "64", *options)
    many = run("sample", "-m", latent_model, "-o", tmp_path / "y.npz", "-n", "2048", *options)
    # Were they kept, even as bytes, the 1984 more pictures of 32 x 32 x 3 would show: 5.8 MiB; as float32 four times that.
    assert many.rss - few.rss < 1984 * 32 * 32 * 3
    assert np.load(tmp_path / "y.npz")["arr_0"].shape == (2048, 32, 32, 3)


def test_classes_by_name(tmp_path):
    weights, metadata, _, _ = split_golden("latent")
    names = [["tench", "Tinca tinca"], "goldfish", "golden retriever", *[f"thing {i}" for i in range(3, 10)]]
    model = tmp_path / "m.safetensors"
    formats.write_safetensors(model, weights, {**metadata, "diffit.class_names": json.dumps(names)})
    options = ["-n", "3", "--sampler", "ddim", "--steps", "2"]
    by_name = sample(tmp_path, model, *options, "--classes", "golden retriever,7,Tinca Tinca")
    assert np.array_equal(by_name, sample(tmp_path, model, *options, "--classes", "2,7,0"))
    refused("sample", "-m", model, "-o", tmp_path / "x.safetensors", "--classes", "thing", mentions=["thing 3"])
    refused("sample", "-m", model, "-o", tmp_path / "x.safetensors", "--classes", "godlfish", mentions=["goldfish"])

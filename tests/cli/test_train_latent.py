"""diffit data encode and diffit train for autoencoders and latent models: caches, refusals, resuming bit for bit."""

import json
import pathlib
import re
import signal
import time

import formats
import numpy as np
import pytest
from conftest import files_below, refused, run, start
from PIL import Image

VAE = "[model]\nmodel = 'vae'\nchannels = [4, 8]\nblocks = 1\nnorm_groups = 2\nlatent_channels = 2\n" \
      "[train]\nimages = 32\nbatch = 8\nsnapshot_images = 16\ndtype = 'f32'\n[optimiser]\nlr = 3e-3\n" \
      "[ema]\npower = []\n[sample]\npictures = 4\n"
SMALL = ["--set", "train.batch=8", "--set", "train.dtype=f32", "--set", "ema.power=[]", "--threads", "1"]


def train_vae(folder, data, *options, images=32, code=0):
    config = folder.parent / f"{folder.name}.toml"
    config.write_text(VAE)
    return run("train", config, "--data", data, "--out", folder, "--threads", "1", "--set", f"train.images={images}",
               *options, code=code)


def train(folder, latents, *options, images=32, code=0):
    return run("train", "latent-smoke", "--data", latents, "--out", folder, *SMALL, "--set", f"train.images={images}",
               "--set", "train.snapshot_images=16", *options, code=code)


def same(one, other):
    """Snapshots of two runs, bit for bit."""
    files = {path.name: path.read_bytes() for path in one.glob("snapshot*")}
    assert files and files == {path.name: path.read_bytes() for path in other.glob("snapshot*")}


@pytest.fixture(scope="module")
def vae_run(tmp_path_factory, small_data):
    folder = tmp_path_factory.mktemp("vae") / "run"
    train_vae(folder, small_data)
    return folder


@pytest.fixture(scope="module")
def vae(vae_run):
    return vae_run / "snapshot-000000032-ema.safetensors"


@pytest.fixture(scope="module")
def latents(tmp_path_factory, small_data, vae):
    folder = tmp_path_factory.mktemp("latents") / "latents"
    run("data", "encode", small_data, folder, "--vae", vae)
    return folder


@pytest.fixture(scope="module")
def latent_run(tmp_path_factory, latents, vae):
    folder = tmp_path_factory.mktemp("latent") / "run"
    train(folder, latents, "--set", f"sample.vae={vae}")
    return folder


# ---- the cache

@pytest.mark.smoke
def test_a_cache_holds_moments_mirrored_moments_and_labels(latents, small_data, vae):
    (shard,) = latents.iterdir()
    tensors, metadata = formats.read_safetensors(shard)
    told = json.loads(metadata["diffit.latents"])
    assert tensors["moments"].shape == tensors["moments_flip"].shape == (200, 4, 8, 8)
    assert np.array_equal(tensors["labels"], formats.read_edm_zip(small_data)[1])
    assert told["pictures"] == 200 and told["classes"] == 4
    scale = json.loads(formats.read_safetensors(vae)[1]["diffit.config"])["scale"]
    assert told["scale"] == scale
    mean, log_variance = np.split(tensors["moments"].astype(np.float64), 2, axis=1)
    assert told["mean"] == pytest.approx(scale * mean.mean(), abs=1e-6)
    second = scale**2 * (mean**2 + np.exp(log_variance)).mean()
    assert told["deviation"] == pytest.approx(np.sqrt(second - (scale * mean.mean()) ** 2), rel=1e-5)
    assert told["deviation"] == pytest.approx(1, abs=1e-3)  # what the scale is measured for


@pytest.mark.smoke
def test_mirrored_moments_are_those_of_the_mirrored_picture(latents, small_data, vae, tmp_path):
    pictures, labels = formats.read_edm_zip(small_data)
    formats.edm_zip(tmp_path / "mirrored.zip", pictures[:, :, ::-1], labels)
    run("data", "encode", tmp_path / "mirrored.zip", tmp_path / "mirrored", "--vae", vae, "--batch", "7")
    one, other = (formats.read_safetensors(next(folder.iterdir()))[0] for folder in (latents, tmp_path / "mirrored"))
    # Another batch may change the order of summation: a few roundings of the largest number.
    for a, b in [("moments", "moments_flip"), ("moments_flip", "moments")]:
        np.testing.assert_allclose(one[a], other[b], rtol=0, atol=2e-5 * np.abs(one[a]).max())


@pytest.mark.smoke
def test_info_knows_a_cache(latents):
    told = run("data", "info", latents, "--json").json
    assert (told["kind"], told["pictures"], told["channels"], told["height"], told["classes"]) == \
        ("latents", 200, 2, 8, 4)
    assert re.fullmatch("[0-9a-f]{8}", told["vae_identity"]) and told["deviation"] > 0
    assert told["vae_identity"] in run("data", "info", latents).out


@pytest.mark.smoke
def test_whole_shards_are_kept_and_half_ones_are_not(latents, small_data, vae, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    run("data", "encode", small_data, folder, "--vae", vae)
    (shard,) = folder.iterdir()
    assert shard.read_bytes() == next(latents.iterdir()).read_bytes()
    before = shard.stat().st_mtime_ns
    run("data", "encode", small_data, folder, "--vae", vae)
    assert shard.stat().st_mtime_ns == before


def test_a_source_that_changed_is_not_taken_for_the_old_one(small_data, vae, tmp_path):
    """The same name, the same number of images: other pixels, labels, names, order."""
    pictures, labels = formats.read_edm_zip(small_data)
    data, cache = tmp_path / "x.zip", tmp_path / "cache"
    formats.edm_zip(data, pictures, labels)
    command = ["data", "encode", data, cache, "--vae", vae]
    run(*command)
    before = files_below(cache)
    one_pixel, one_label = pictures.copy(), labels.copy()
    one_pixel[123, 3, 4] ^= 1
    one_label[7] = (one_label[7] + 1) % 4
    for changed, of, word in [(one_pixel, labels, "content"), (pictures, one_label, "labels"),
                              (pictures[::-1], labels[::-1], "content")]:
        formats.edm_zip(data, changed, of)
        refused(*command, mentions=[word, "latents-00000", "--restart"])
        assert files_below(cache) == before
    formats.edm_zip(data, pictures, labels)
    refused(*command, "--dtype", "bf16", mentions=["dtype"])
    run(*command)
    formats.edm_zip(data, one_pixel, labels)
    run(*command, "--restart")
    run("data", "encode", data, tmp_path / "fresh", "--vae", vae)
    after = files_below(cache)
    assert after == files_below(tmp_path / "fresh") and after != before


def test_files_of_a_folder_that_changed_are_noticed(vae, tmp_path):
    """Also one that lies between the images whose content is looked at, in a set of more than a thousand."""
    rng = np.random.default_rng(2)
    folder = tmp_path / "x"
    folder.mkdir()
    for i in range(1200):
        Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).save(folder / f"{i:04}.png")
    run("data", "encode", folder, tmp_path / "cache", "--vae", vae)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "0005.png")
    refused("data", "encode", folder, tmp_path / "cache", "--vae", vae, mentions=["files", "--restart"])
    (folder / "0005.png").rename(folder / "0005b.png")
    refused("data", "encode", folder, tmp_path / "cache", "--vae", vae, mentions=["names"])


@pytest.mark.smoke
def test_shards_of_earlier_versions_are_taken_with_a_warning(latents, small_data, vae, tmp_path):
    shard = next(latents.iterdir())
    tensors, metadata = formats.read_safetensors(shard)
    told = json.loads(metadata["diffit.latents"])
    del told["stamp"], told["crc32"]
    (tmp_path / "old").mkdir()
    old = tmp_path / "old" / shard.name
    formats.write_safetensors(old, tensors, {"diffit.latents": json.dumps(told)})
    before = old.read_bytes()
    result = run("data", "encode", small_data, tmp_path / "old", "--vae", vae)
    assert "assuming" in result.err and old.read_bytes() == before
    run("data", "info", tmp_path / "old")


@pytest.mark.smoke
def test_a_damaged_shard_is_encoded_again(latents, small_data, vae, tmp_path):
    (tmp_path / "x").mkdir()
    shard = next(latents.iterdir())
    raw = bytearray(shard.read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "x" / shard.name).write_bytes(raw)
    run("data", "encode", small_data, tmp_path / "x", "--vae", vae)
    assert files_below(tmp_path / "x") == files_below(latents)


def test_an_interrupted_encoding_leaves_whole_shards_and_goes_on(tmp_path):
    """Two shards of up to 10,000 pictures: stopped in the second, then finished."""
    rng = np.random.default_rng(1)
    (tmp_path / "many-images-idx3-ubyte").write_bytes(formats.idx_bytes(rng.integers(0, 255, (12000, 8, 8), np.uint8)))
    data = tmp_path / "many-images-idx3-ubyte"
    train_vae(tmp_path / "run", data, images=8)
    vae = tmp_path / "run/snapshot-000000008.safetensors"
    command = ["data", "encode", data, tmp_path / "cache", "--vae", vae, "--threads", "1"]
    for signum in [signal.SIGKILL, signal.SIGINT]:
        process = start(*command)
        deadline = time.monotonic() + 60
        while not (tmp_path / "cache/latents-00000.safetensors").exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signum)
        _, err = process.communicate(timeout=60)
        if process.returncode == 1:
            assert "complete shards are kept" in err
    first = (tmp_path / "cache/latents-00000.safetensors").stat().st_mtime_ns
    run(*command)
    assert (tmp_path / "cache/latents-00000.safetensors").stat().st_mtime_ns == first
    names = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert names == ["latents-00000.safetensors", "latents-00001.safetensors"]
    tensors, _ = formats.read_safetensors(tmp_path / "cache/latents-00001.safetensors")
    assert tensors["moments"].shape[0] == 2000 and "labels" not in tensors
    (tmp_path / "cache/latents-00001.safetensors").unlink()
    refused("data", "info", tmp_path / "cache", mentions=["1 of 2 shards", "data encode"])


@pytest.mark.smoke
def test_a_cache_of_another_vae_or_set_is_not_gone_on_with(latents, small_data, vae, tmp_path):
    train_vae(tmp_path / "other", small_data, "--set", "train.seed=1", images=8)
    other = tmp_path / "other/snapshot-000000008.safetensors"
    refused("data", "encode", small_data, latents, "--vae", other, mentions=["VAE", "latents-00000"])
    pictures, labels = formats.read_edm_zip(small_data)
    formats.edm_zip(tmp_path / "fewer.zip", pictures[:50], labels[:50])
    refused("data", "encode", tmp_path / "fewer.zip", latents, "--vae", vae, mentions=["200 images"])


@pytest.mark.smoke
def test_pictures_that_do_not_fit_the_vae_are_refused(vae, tmp_path):
    formats.edm_zip(tmp_path / "rgb.zip", np.zeros((2, 16, 16, 3), np.uint8))
    refused("data", "encode", tmp_path / "rgb.zip", tmp_path / "x", "--vae", vae, mentions=["channels"])
    formats.edm_zip(tmp_path / "odd.zip", np.zeros((2, 15, 15), np.uint8))
    refused("data", "encode", tmp_path / "odd.zip", tmp_path / "x", "--vae", vae, mentions=["multiples of 2"])
    assert not (tmp_path / "x").exists()


# ---- training

@pytest.mark.smoke
def test_the_folder_of_an_autoencoder_s_run(vae_run, vae):
    assert {"config.toml", "log.txt", "stats.jsonl"} <= {path.name for path in vae_run.iterdir()}
    grid = np.asarray(Image.open(vae_run / "samples-000000032.png"))
    assert grid.std() > 0
    config = json.loads(formats.read_safetensors(vae)[1]["diffit.config"])
    assert (config["model"], config["in_channels"], config["latent_channels"]) == ("vae", 1, 2)


@pytest.mark.smoke
def test_the_folder_of_a_latent_run(latent_run, latents):
    told = run("data", "info", latents, "--json").json
    _, metadata = formats.read_safetensors(latent_run / "snapshot-000000032-ema.safetensors")
    assert metadata["diffit.vae_identity"] == told["vae_identity"]
    assert float(metadata["diffit.latent_scale"]) == told["scale"]
    config = json.loads(metadata["diffit.config"])
    assert (config["model"], config["input_size"], config["in_channels"], config["classes"]) == ("latent", 8, 2, 4)
    for name in ["reals.png", "samples-000000032.png"]:
        assert np.asarray(Image.open(latent_run / name)).std() > 0
    log = (latent_run / "log.txt").read_text()
    assert "mean" in log and "deviation" in log and told["vae_identity"] in log


@pytest.mark.smoke
def test_stop_and_resume_is_the_same_bit_for_bit(vae_run, latent_run, small_data, latents, vae, tmp_path):
    train_vae(tmp_path / "vae", small_data, images=16)
    train_vae(tmp_path / "vae", small_data, "--resume")
    same(vae_run, tmp_path / "vae")
    decoder = ["--set", f"sample.vae={vae}"]
    train(tmp_path / "latent", latents, *decoder, images=16)
    train(tmp_path / "latent", latents, *decoder, "--resume")
    same(latent_run, tmp_path / "latent")


@pytest.mark.parametrize("kind", ["vae", "latent"])
def test_kill_and_resume_is_the_same_bit_for_bit(kind, small_data, latents, tmp_path):
    (tmp_path / "vae.toml").write_text(VAE)
    config, data = (tmp_path / "vae.toml", small_data) if kind == "vae" else ("latent-smoke", latents)
    options = ["--data", data, *SMALL, "--set", "train.images=192", "--set", "train.snapshot_images=48", "--set",
               "sample.pictures=0"]
    run("train", config, "--out", tmp_path / "whole", *options)
    folder, killed = tmp_path / "killed", 0
    count = lambda: max((int(re.search(r"\d+", path.name)[0]) for path in folder.glob("state*")), default=0)
    for attempt in range(3):
        before = count()
        process = start("train", config, "--out", folder, *options, *(["--resume"] if folder.exists() else []))
        deadline = time.monotonic() + 60
        while process.poll() is None and count() == before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.01 * attempt)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    assert killed >= 1, "it was never killed in the middle"
    run("train", config, "--out", folder, *options, "--resume")
    same(tmp_path / "whole", folder)


@pytest.mark.smoke
@pytest.mark.parametrize("wrong", ["data.vae='0123abcd'", "data.scale=3.5", "model.input_size=16",
                                   "model.in_channels=4", "model.classes=2", "data.size=32", "loss.kl_weight=1"])
def test_latents_that_the_recipe_does_not_mean_are_refused(wrong, latents, tmp_path):
    refused("train", "latent-smoke", "--data", latents, "--out", tmp_path / "run", *SMALL, "--set", wrong,
            mentions=[wrong.split("=")[0].split(".")[1]])
    assert not (tmp_path / "run").exists()


@pytest.mark.smoke
def test_pictures_and_latents_are_not_taken_for_each_other(small_data, latents, tmp_path):
    refused("train", "latent-smoke", "--data", small_data, "--out", tmp_path / "run", mentions=["data encode"])
    refused("train", "smoke", "--data", latents, "--out", tmp_path / "run", mentions=["latents"])


@pytest.mark.smoke
def test_a_grid_by_another_vae_is_refused(latents, small_data, tmp_path):
    train_vae(tmp_path / "other", small_data, "--set", "train.seed=1", images=8)
    refused("train", "latent-smoke", "--data", latents, "--out", tmp_path / "run", *SMALL, "--set",
            f"sample.vae={tmp_path}/other/snapshot-000000008.safetensors", mentions=["sample.vae"])


@pytest.mark.smoke
def test_fine_tuning_with_other_classes(latent_run, latents, tmp_path):
    released = latent_run / "snapshot-000000032-ema.safetensors"
    result = train(tmp_path / "run", latents, "--set", f"train.init_from={released}", "--set", "model.classes=6",
                   "--set", "optimiser.lr=0", images=8)
    assert "replaced by a new one with 6" in result.err and str(released) in result.err
    before, _ = formats.read_safetensors(released)
    after, _ = formats.read_safetensors(tmp_path / "run/snapshot-000000008.safetensors")
    table = "y_embedder.embedding_table.weight"
    assert after[table].shape[0] == 7 and np.array_equal(after[table][6], before[table][4])
    assert all(np.array_equal(before[name], after[name]) for name in before if name != table)
    # Its weights are in the state: resuming does not need the file.
    train(tmp_path / "run", latents, "--set", "train.init_from=gone.safetensors", "--set", "model.classes=6", "--set",
          "optimiser.lr=0", "--resume", images=16, code=2)  # another file is another training


@pytest.mark.smoke
def test_fine_tuning_resumes_without_the_file_it_started_from(latent_run, latents, tmp_path):
    start_file = tmp_path / "start.safetensors"
    start_file.write_bytes((latent_run / "snapshot-000000032-ema.safetensors").read_bytes())
    options = ["--set", f"train.init_from={start_file}"]
    train(tmp_path / "whole", latents, *options, images=16)
    train(tmp_path / "parts", latents, *options, images=8)
    start_file.unlink()
    train(tmp_path / "parts", latents, *options, "--resume", images=16)
    one, other = (formats.read_safetensors(tmp_path / name / "snapshot-000000016.safetensors")[0]
                  for name in ("whole", "parts"))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    refused("train", "latent-smoke", "--data", latents, "--out", tmp_path / "new", *SMALL, *options,
            mentions=["start.safetensors"])


@pytest.mark.smoke
def test_unconditional(latents, tmp_path):
    train(tmp_path / "run", latents, "--set", "model.classes=0", "--set", "train.label_dropout=0", images=16)
    tensors, metadata = formats.read_safetensors(tmp_path / "run/snapshot-000000016-ema.safetensors")
    assert json.loads(metadata["diffit.config"])["classes"] == 0
    assert tensors["y_embedder.embedding_table.weight"].shape[0] == 1
    refused("train", "latent-smoke", "--data", latents, "--out", tmp_path / "x", *SMALL, "--set", "model.classes=0",
            mentions=["label_dropout"])


@pytest.mark.smoke
def test_dry_runs_plan_all_kinds(latents, small_data, tmp_path):
    (tmp_path / "vae.toml").write_text(VAE)
    for config, data in [("latent-smoke", latents), (tmp_path / "vae.toml", small_data)]:
        told = run("train", config, "--data", data, "--out", tmp_path / "run", "--dry-run", "--json").json
        assert told["parameters"] > 0 and told["forward_macs"] > 0 and told["memory_bytes"] > 0
    assert not (tmp_path / "run").exists()


@pytest.mark.smoke
@pytest.mark.parametrize("preset, fid", [("imagenet256", 1.73), ("imagenet512", 2.67)])
def test_imagenet_presets_state_the_published_figures(preset, fid):
    text = (pathlib.Path(__file__).parents[2] / f"presets/{preset}.toml").read_text()
    assert f"fid = {fid}\n" in text
    refused("train", preset, "--dry-run", mentions=["data encode"])


def test_checkpointing_changes_nothing(latents, tmp_path):
    for name, value in [("a", "false"), ("b", "true")]:
        train(tmp_path / name, latents, "--set", f"train.checkpointing={value}", images=16)
    same(tmp_path / "a", tmp_path / "b")


@pytest.mark.smoke
def test_a_used_folder_is_not_overwritten(latent_run, latents):
    before = files_below(latent_run)
    refused("train", "latent-smoke", "--data", latents, "--out", latent_run, *SMALL, mentions=["--resume"])
    assert files_below(latent_run) == before

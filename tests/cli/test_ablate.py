"""diffit ablate: experiments to the end, killed and resumed, shared by processes; what is refused beforehand."""

import json
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import formats
import numpy as np
import pytest
from conftest import FASHION, ROOT, files_below, refused, run, start

BASE = """
[model]
channels = [8, 16]
depth = [1, 1]
head_dim = 8
mlp_ratio = 1.0
classes = 0
[train]
images = 1
batch = 8
dtype = "f32"
log_images = 16
[ema]
half_life_images = 100
power = []
[sample]
pictures = 4
steps = 2
"""

EXPERIMENT = """
title = "Where time enters"
base = "{base}"
seeds = [0, 1]
images = 96
snapshots = 3
[score]
pictures = 60
steps = 2
[[variant]]
name = "tmsa"
row = "H"
published = 1.95
[[variant]]
name = "mlp"
row = "G"
published = 3.81
comparable = "both"
set = ["model.time = mlp"]
[[variant]]
name = "no-conv"
set = ["model.sampling = patch"]
"""


@pytest.fixture
def experiment(tmp_path):
    (tmp_path / "base.toml").write_text(BASE)
    path = tmp_path / "times.toml"
    path.write_text(EXPERIMENT.format(base=tmp_path / "base.toml"))
    return path


def ablate(experiment, data, out, *options, **keywords):
    return run("ablate", experiment, "--data", data, "--out", out, "--train-only", "--threads", "1", *options, **keywords)


def trials(out):
    """The finished weights of each training, by its name."""
    return {folder.name: formats.read_safetensors(folder / "snapshot-000000096-ema.safetensors")[0]
            for folder in sorted((out / "runs").iterdir())}


def equal(one, other):
    assert one.keys() == other.keys()
    for name, weights in one.items():
        for key, value in weights.items():
            assert np.array_equal(value, other[name][key]), f"{name}: {key}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory, small_data):
    """The experiment without a stop."""
    folder = tmp_path_factory.mktemp("ablate")
    (folder / "base.toml").write_text(BASE)
    (folder / "times.toml").write_text(EXPERIMENT.format(base=folder / "base.toml"))
    ablate(folder / "times.toml", small_data, folder / "out")
    return folder / "out"


def test_every_variant_is_trained_with_every_seed(whole):
    results = json.loads((whole / "results.json").read_text())
    assert results["finished"] == results["trials"] == 6
    assert {path.name for path in (whole / "runs").iterdir()} == {
        f"{name}-seed{seed}" for name in ("tmsa", "mlp", "no-conv") for seed in (0, 1)}
    for variant in results["variants"]:
        assert [t["seed"] for t in variant["trials"]] == [0, 1]
        assert variant["images"] == 96 and variant["macs"] > 0
        loss = variant["late_loss"]
        values = [t["late_loss"] for t in variant["trials"]]
        # The mean, and Student's t with one degree of freedom: 12.706 times the standard error.
        assert loss["mean"] == pytest.approx(np.mean(values))
        assert loss["high"] - loss["mean"] == pytest.approx(12.706 * np.std(values, ddof=1) / np.sqrt(2), rel=1e-3)
    table = (whole / "table.md").read_text()
    assert "| H | tmsa | 1.95 |" in table and "| G | mlp | 3.81 |" in table


def test_seeds_see_the_same_noise_and_differ_from_one_another(whole):
    configs = {path.parent.name: path.read_text() for path in (whole / "runs").glob("*/config.toml")}
    assert 'time = "mlp"' in configs["mlp-seed1"] and "seed = 1" in configs["mlp-seed1"]
    assert "time =" not in configs["tmsa-seed0"]
    weights = trials(whole)
    assert not np.array_equal(weights["tmsa-seed0"]["tokenizer.weight"], weights["tmsa-seed1"]["tokenizer.weight"])


def test_nothing_is_done_twice(whole, small_data, tmp_path):
    before = files_below(whole)
    times = {path: path.stat().st_mtime_ns for path in (whole / "runs").rglob("*") if path.is_file()}
    ablate(whole.parent / "times.toml", small_data, whole)
    assert files_below(whole) == before
    assert times == {path: path.stat().st_mtime_ns for path in (whole / "runs").rglob("*") if path.is_file()}


def test_killed_and_resumed_is_the_same_bit_for_bit(whole, experiment, small_data, tmp_path):
    out = tmp_path / "out"
    finished = []
    for kill in range(1, 5):  # at four places, each further on
        process = start("ablate", experiment, "--data", small_data, "--out", out, "--train-only", "--threads", "1")
        deadline = time.monotonic() + 60
        while len(list(out.glob("runs/*/state-*"))) < kill and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        done = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/snapshot-000000096-ema.safetensors")}
        assert all(done[path] == when for path, when in finished), "a finished training was done again"
        finished = list(done.items())
    ablate(experiment, small_data, out)
    equal(trials(out), trials(whole))
    assert json.loads((out / "results.json").read_text())["finished"] == 6
    for stats in out.glob("runs/*/stats.jsonl"):
        images = [json.loads(line)["images"] for line in stats.read_text().splitlines()]
        assert images == [16, 32, 48, 64, 80, 96]


def test_processes_share_a_folder(whole, experiment, small_data, tmp_path):
    out = tmp_path / "out"
    processes = [start("ablate", experiment, "--data", small_data, "--out", out, "--train-only", "--threads", "1")
                 for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    result = ablate(experiment, small_data, out, "--json").json
    assert result["finished"] == 6
    equal(trials(out), trials(whole))
    for log in out.glob("runs/*/log.txt"):
        assert log.read_text().count("done: 96 images") == 1


@pytest.fixture(scope="module")
def quarters(tmp_path_factory, small_data):
    """A classifier barely trained: its features are as good as any for what is asked here."""
    folder = tmp_path_factory.mktemp("quarters")
    (folder / "quarters.toml").write_text(
        '[model]\nmodel = "classifier"\nname = "Quarters"\nchannels = [8, 16]\nnorm_groups = 2\n'
        '[train]\nimages = 64\nbatch = 16\ndtype = "f32"\n[ema]\nhalf_life_images = 16\npower = []\n')
    run("train", folder / "quarters.toml", "--data", small_data, "--out", folder / "run")
    return folder / "run/snapshot-000000064-ema.safetensors"


def test_scores_with_intervals_in_table_and_page(whole, small_data, quarters):
    """What was trained without scores is scored by the same command, and nothing is trained again."""
    before = {path: path.stat().st_mtime_ns for path in (whole / "runs").rglob("*") if path.is_file()}
    told = run("ablate", whole.parent / "times.toml", "--data", small_data, "--out", whole, "--threads", "1",
               "--features", quarters, "--set", "score.curve_pictures=50", "--json").json
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert told["score"] == "FD-Quarters" and told["finished"] == 6
    for variant in told["variants"]:
        finals = []
        for trial in variant["trials"]:
            assert [(s["images"], s["pictures"]) for s in trial["scores"]] == [(32, 50), (64, 50), (96, 60)]
            last = trial["scores"][-1]
            assert last["low"] < last["value"] < last["high"]
            finals.append(last["value"])
        assert variant["score"]["mean"] == pytest.approx(np.mean(finals))
    # The figure is that of the evaluator on the same samples.
    run("sample", "-m", whole / "runs/tmsa-seed0/snapshot-000000096-ema.safetensors", "-n", 60, "--seeds", "0-59",
        "--steps", 2, "-o", whole.parent / "samples.npz", "--dtype", "f32", "--threads", "1")
    asked = run("eval", whole.parent / "samples.npz", small_data, "--features", quarters, "--metrics", "fid", "--json")
    assert told["variants"][0]["trials"][0]["scores"][-1]["value"] == pytest.approx(asked.json["fd_quarters"], rel=0.02)
    page = (whole / "page.html").read_text()
    for part in ("Where time enters", "FD-Quarters", "Pareto", "1.95", "diffit ablate"):
        assert part in page
    assert "FD-Quarters" in (whole / "table.md").read_text()


def test_trainings_are_evaluated_as_their_recipe_asks(quarters, small_data, tmp_path):
    evaluated = ["train.eval_images = 48", f"eval.features = {quarters}", "eval.pictures = 24", "eval.steps = 2",
                 "eval.metrics = fid"]
    (tmp_path / "base.toml").write_text(BASE)
    (tmp_path / "e.toml").write_text(EXPERIMENT.format(base=tmp_path / "base.toml").replace(
        "seeds = [0, 1]", f"seeds = [0]\nset = {json.dumps(evaluated)}"))
    result = ablate(tmp_path / "e.toml", small_data, tmp_path / "out", "--only", "tmsa")
    lines = [json.loads(line) for line in (tmp_path / "out/runs/tmsa-seed0/stats.jsonl").read_text().splitlines()]
    found = {line["images"]: line["eval"]["fd_quarters"] for line in lines if "eval" in line}
    assert list(found) == [48, 96] and all(value > 0 for value in found.values())
    for images, value in found.items():
        assert f"[1/1] tmsa-seed0: after {images} training images, fd_quarters {value:#.4g}" in result.err


def test_records_are_taken_over_and_what_is_missing_is_trained(whole, small_data, quarters, tmp_path):
    times, record = whole.parent / "times.toml", tmp_path / "record"
    shutil.copytree(whole, tmp_path / "out")
    with_scores = ("--data", small_data, "--features", quarters, "--threads", "1", "--json")
    first = run("ablate", times, "--out", tmp_path / "out", "--record", record, *with_scores).json
    assert {str(path) for path in files_below(record / "runs")} == {
        f"{trial}/{name}" for trial in trials(whole) for name in
        ("config.toml", "stats.jsonl", "scores.json", "samples-000000096.png")}
    assert (record / "table.md").read_text() == (tmp_path / "out/table.md").read_text()

    # A whole record leaves nothing to do; the data may lie elsewhere, the variant may have another name.
    elsewhere = tmp_path / "elsewhere" / small_data.name
    elsewhere.parent.mkdir()
    shutil.copy(small_data, elsewhere)
    renamed = tmp_path / "renamed.toml"
    renamed.write_text(times.read_text().replace('name = "mlp"', 'name = "row-g"'))
    again = run("ablate", renamed, "--out", tmp_path / "again", "--from", record, "--data", elsewhere, *with_scores[2:])
    assert again.err.count("reused from") == 6 and "training" not in again.err
    assert not list((tmp_path / "again").rglob("snapshot-*"))
    for ours, theirs in zip(again.json["variants"], first["variants"]):
        assert (ours["score"], ours["late_loss"]) == (theirs["score"], theirs["late_loss"])
    run("ablate", renamed, "--out", tmp_path / "again", "--data", elsewhere, *with_scores[2:])  # as it stands
    assert not list((tmp_path / "again").rglob("snapshot-*"))

    # One that is missing is trained, to the same figure.
    shutil.rmtree(record / "runs/mlp-seed1")
    part = run("ablate", times, "--out", tmp_path / "part", "--from", record, *with_scores)
    assert part.err.count("reused from") == 5 and "mlp-seed1: training" in part.err
    finals = [told["variants"][1]["trials"][1]["scores"][-1] for told in (part.json, first)]
    assert finals[0] == finals[1]

    for options, mentions in (
            (("--from", tmp_path), ["--from", "scores.json"]),
            (("--record", tmp_path / "out"), ["--record", "--out"]),
            (("--train-only", "--from", record), ["--train-only", "--from"])):
        refused("ablate", times, "--data", small_data, "--out", tmp_path / "out", "--features", quarters, *options,
                mentions=mentions)


def test_kept_results_are_taken_over_as_a_folder_and_as_a_zip(whole, small_data, quarters, tmp_path):
    times, record, kept = whole.parent / "times.toml", tmp_path / "record", tmp_path / "kept"
    shutil.copytree(whole, tmp_path / "out")
    options = ("--data", small_data, "--features", quarters, "--threads", "1", "--json")
    first = run("ablate", times, "--out", tmp_path / "out", "--record", record, *options).json
    subprocess.run([sys.executable, ROOT / "scripts/keep_results.py", record, kept], check=True, capture_output=True)
    for name, given in (("folder", kept), ("zip", kept / "runs.zip")):
        again = run("ablate", times, "--out", tmp_path / name, "--from", given, *options)
        assert again.err.count(f"reused from {kept / 'runs.zip'}: runs/") == 6 and "training" not in again.err
        assert again.json["variants"] == first["variants"]
        assert (tmp_path / name / "table.md").read_text() == (record / "table.md").read_text()
        assert not list((tmp_path / name).rglob("samples-*"))

    # Damaged archives and archives of something else are refused before anything is trained.
    whole_zip = (kept / "runs.zip").read_bytes()
    (kept / "runs.zip").write_bytes(whole_zip[:-30])
    refused("ablate", times, "--out", tmp_path / "new", "--from", kept, *options[:-1], mentions=["runs.zip"])
    refused("ablate", times, "--out", tmp_path / "new", "--from", small_data, *options[:-1], mentions=["--from", "scores.json", "zip"])
    with zipfile.ZipFile(tmp_path / "wrong.zip", "w") as archive:
        archive.writestr("a/config.toml", "[train]\nimages = -1\n")
        archive.writestr("a/scores.json", "{}")
    refused("ablate", times, "--out", tmp_path / "new", "--from", tmp_path / "wrong.zip", *options[:-1],
            mentions=["wrong.zip: a/config.toml", "train.images"])


@pytest.mark.parametrize("name", ["fashion-time", "fashion-ddpmpp-vp"])
def test_the_trainings_in_docs_are_read_and_give_the_table_there(name, tmp_path):
    if not FASHION.exists():
        pytest.skip("the data is not installed")
    kept = ROOT / "docs/results" / name
    told = run("ablate", name, "--from", kept, "--out", tmp_path / "out", "--threads", "1", "--json").json
    assert told["finished"] == told["trials"] > 0
    table = (kept / "table.md").read_text()
    for variant in told["variants"]:
        low, high = variant["score"]["low"], variant["score"]["high"]
        loss = variant["late_loss"]
        for interval in (f"[{low:#.4g}, {high:#.4g}]", f"[{loss['low']:#.4g}, {loss['high']:#.4g}]"):
            assert interval in table


def test_a_folder_of_an_experiments_name_does_not_hide_it(small_data, tmp_path):
    (tmp_path / "fashion-time").mkdir()
    refused("ablate", "fashion-time", "--data", small_data, "--only", "nothing", cwd=tmp_path, mentions=["variant 'nothing'"])


def test_dry_run_tells_costs_and_writes_nothing(experiment, small_data, tmp_path):
    plan = run("ablate", experiment, "--data", small_data, "--out", tmp_path / "out", "--dry-run", "--json").json
    assert [v["name"] for v in plan["variants"]] == ["tmsa", "mlp", "no-conv"]
    assert all(v["parameters"] > 0 and v["macs"] > 0 and v["estimated_seconds"] > 0 for v in plan["variants"])
    assert not (tmp_path / "out").exists()


def test_a_budget_of_flops_gives_costly_variants_fewer_images(experiment, small_data, tmp_path):
    text = experiment.read_text().replace("images = 96", "flops = 1e10")
    experiment.write_text(text)
    plan = run("ablate", experiment, "--data", small_data, "--dry-run", "--json").json
    for variant in plan["variants"]:
        per_image = 3 * 2 * variant["macs"]
        assert 1e10 - 8 * per_image < variant["images"] * per_image <= 1e10
        assert variant["images"] % 8 == 0


def test_only_some_variants_beside_the_reference(experiment, small_data, tmp_path):
    plan = run("ablate", experiment, "--data", small_data, "--dry-run", "--json", "--only", "mlp").json
    assert [v["name"] for v in plan["variants"]] == ["tmsa", "mlp"]


@pytest.mark.parametrize(
    "change, mentions",
    [
        ("title = 3", ["title", "wanted a quoted string"]),
        ("tytle = 'x'", ["tytle", "did you mean 'title'?"]),
        ("images = 72", ["too small to score", "9 steps", "tmsa"]),
        ("flops = 1e9", ["budget", "both"]),
        ("seeds = [1, 1]", ["seeds", "each once"]),
        ("seeds = []", ["seeds"]),
        ("reference = 'tmas'", ["reference", "did you mean 'tmsa'?"]),
        ("base = 'no-such'", ["config 'no-such'"]),
        ("set = ['train.images = 5']", ["train.images", "budget"]),
        ("set = ['model.chanels = [8]']", ["chanels", "did you mean 'channels'?"]),
        ("set = ['model.window = 3']", ["window 3", "tmsa"]),
        ("set = ['train.batch']", ["KEY=VALUE"]),
        ("score.pictures = 3", ["score.pictures", "50"]),
        ("score.picturs = 99", ["did you mean 'pictures'?"]),
    ],
)
def test_refused_before_anything_is_trained(experiment, small_data, tmp_path, change, mentions):
    line = refused("ablate", experiment, "--data", small_data, "--out", tmp_path / "out", "--train-only",
                   "--set", change, mentions=mentions)
    assert len(line) < 400
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "old, new, mentions",
    [
        ("model.time = mlp", "model.time = mlpp", ["variant 'mlp'", "did you mean 'mlp'?"]),
        ("model.time = mlp", "model.tiem = mlp", ["tiem", "did you mean 'time'?"]),
        ("model.time = mlp", "model.encoder = vit", ["setr_mla"]),
        ("model.time = mlp", "model.channels = [32, 64]", ["comparable by parameters", "'tmsa'"]),
        ("model.time = mlp", "data.flip = 0.5", ["same data"]),
        ('name = "mlp"', 'name = "tmsa"', ["two variants", "tmsa"]),
        ('name = "mlp"', 'name = "../x"', ["name"]),
        ('comparable = "both"', 'comparable = "flop"', ["comparable"]),
    ],
)
def test_variants_that_contradict_are_refused(experiment, small_data, tmp_path, old, new, mentions):
    text = experiment.read_text()
    assert old in text
    experiment.write_text(text.replace(old, new))
    refused("ablate", experiment, "--data", small_data, "--out", tmp_path / "out", "--train-only", mentions=mentions)
    assert not (tmp_path / "out").exists()


def test_unknown_names_are_refused_with_the_nearest(experiment, small_data, tmp_path):
    refused("ablate", experiment, "--data", small_data, "--only", "no_conv", mentions=["did you mean 'no-conv'?"])
    refused("ablate", "fashion-tme", mentions=["did you mean 'fashion-time'?"])
    refused("ablate", experiment, "--data", small_data, "--out", tmp_path / "out", "--features", tmp_path / "none.pth",
            mentions=["none.pth"])
    assert not (tmp_path / "out").exists()


def test_another_experiment_in_the_folder_is_refused(whole, experiment, small_data):
    before = files_below(whole)
    refused("ablate", experiment, "--data", small_data, "--out", whole, "--train-only", "--set",
            "set = ['optimiser.lr = 0.5']", mentions=["optimiser.lr", "--out"])
    assert files_below(whole) == before


def test_a_bundled_experiment_tells_its_cost():
    """Each of them is planned in src/analysis/bundled_experiments_test.cpp; here steps are timed."""
    if not FASHION.exists():
        pytest.skip("the data is not installed")
    plan = run("ablate", "fashion-ddpmpp-vp", "--dry-run", "--json", "--threads", "1").json
    assert [v["name"] for v in plan["variants"]] == ["own", "tmsa"]
    assert all(v["estimated_seconds"] > 0 for v in plan["variants"])

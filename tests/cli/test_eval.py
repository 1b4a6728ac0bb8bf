"""diffit eval: figures against numpy's float64, references of ADM and EDM, warnings, what must be refused."""

import json

import figures
import formats
import numpy as np
import pytest
from conftest import GOLDEN, refused, run

ALL = ["fid", "sfid", "is", "precision", "recall", "kid"]


def load(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def measured(tmp_path_factory, inception, two_sets):
    """Statistics of both sets, their features with them: what figures follow from."""
    folder = tmp_path_factory.mktemp("measured")
    paths = [folder / "a.npz", folder / "b.npz"]
    for data, path in zip(two_sets, paths):
        run("stats", data, "-o", path, "--features", inception)
    return paths


@pytest.fixture(scope="module")
def evaluated(inception, two_sets, measured):
    return run("eval", two_sets[0], measured[1], "--features", inception, "--json").json


def test_every_figure_is_there_by_its_name(evaluated):
    assert [name for name in evaluated if name in ALL] == ALL
    for name in ALL:
        low, high = evaluated["intervals"][name]
        assert low <= evaluated[name] <= high, name
        assert evaluated["details"][name]["samples"] == 12
    assert evaluated["details"]["fid"]["reference"] == 14
    assert evaluated["network"]["name"] == "Inception-v3 2015-12-05"
    assert evaluated["samples"]["pictures"] == 12 and evaluated["reference"]["pictures"] == 14


def test_figures_are_those_of_float64_numpy(evaluated, measured):
    a, b = map(load, measured)
    for name, mu, sigma in (("fid", "mu", "sigma"), ("sfid", "mu_s", "sigma_s")):
        want = figures.frechet(a[mu], a[sigma], b[mu], b[sigma])
        # Differences of traces, and roots of eigenvalues that ought to be zero: numpy's keep sqrt(D u) of the trace.
        scale = np.trace(a[sigma]) + np.trace(b[sigma])
        assert abs(evaluated[name] - want) <= 2048 * 1.2e-16 * scale + 2e-6 * scale, name
    precision, recall = figures.precision_recall(a["features"], b["features"])
    assert evaluated["precision"] == pytest.approx(precision, abs=1e-12)
    assert evaluated["recall"] == pytest.approx(recall, abs=1e-12)


def test_kid_of_whole_sets_is_its_definition(inception, two_sets, measured, tmp_path):
    pictures = np.load(two_sets[1])["arr_0"]
    np.savez(tmp_path / "twelve.npz", arr_0=pictures[:12])
    told = run("eval", two_sets[0], tmp_path / "twelve.npz", "--features", inception, "--metrics", "kid", "--json").json
    a, b = (load(path)["features"] for path in measured)
    want = figures.kernel_distance(a, b[:12])
    # Float32 products of 2048 terms leave 3 sqrt(2048) u of a kernel, and the kernels cancel.
    size = ((a.astype(float) ** 2).sum(1).max() / 2048 + 1) ** 3
    assert abs(told["kid"] - want) <= 3 * np.sqrt(2048) * 6e-8 * size
    assert told["details"]["kid"]["subset_size"] == 12


def test_inception_score_is_that_of_torch_fidelitys_probabilities(inception, measured, tmp_path):
    golden, _ = formats.read_safetensors(GOLDEN / "inception.safetensors")
    np.savez(tmp_path / "square.npz", arr_0=golden["square.pictures"])
    told = run("eval", tmp_path / "square.npz", measured[1], "--features", inception, "--metrics", "is", "--json").json
    want = figures.inception_score(golden["square.exact.probabilities"])
    assert told["is"] == pytest.approx(want, rel=1e-4)


def test_a_set_against_itself(inception, measured):
    told = run("eval", measured[1], measured[1], "--features", inception, "--metrics", "fid,precision,recall",
               "--no-intervals", "--json").json
    assert told["fid"] <= 1e-6 * np.trace(load(measured[1])["sigma"])
    assert told["precision"] == told["recall"] == 1


def test_stored_statistics_win_over_adms_pictures(inception, two_sets, measured, tmp_path):
    """VIRTUAL_imagenet256_labeled.npz: mu and sigma of 1.28 million pictures, arr_0 of 10,000 for neighbours."""
    a, b = map(load, measured)
    adm = {"mu": b["mu"].astype(np.float32), "sigma": b["sigma"], "mu_s": b["mu_s"].astype(np.float32),
           "sigma_s": b["sigma_s"], "arr_0": np.load(two_sets[1])["arr_0"][:9]}
    np.savez(tmp_path / "adm.npz", **adm)
    told = run("eval", two_sets[0], tmp_path / "adm.npz", "--features", inception, "--metrics", "fid,precision,recall",
               "--no-intervals", "--json").json
    scale = np.trace(a["sigma"]) + np.trace(b["sigma"])
    assert abs(told["fid"] - figures.frechet(a["mu"], a["sigma"], b["mu"], b["sigma"])) <= 3e-6 * scale
    precision, recall = figures.precision_recall(a["features"], b["features"][:9])
    assert told["precision"] == pytest.approx(precision) and told["recall"] == pytest.approx(recall)
    assert told["details"]["precision"]["reference"] == 9
    assert told["details"]["fid"]["reference"] == 0  # not told
    assert any("does not name its feature network" in warning for warning in told["warnings"])


def test_edms_reference_gives_fid_alone(inception, two_sets, measured, tmp_path):
    b = load(measured[1])
    np.savez(tmp_path / "edm.npz", mu=b["mu"], sigma=b["sigma"])
    told = run("eval", two_sets[0], tmp_path / "edm.npz", "--features", inception, "--limit", 4, "--no-intervals", "--json").json
    assert [name for name in told if name in ALL] == ["fid", "is"]
    for metric, word in (("sfid", "mu_s"), ("precision", "images"), ("kid", "images")):
        refused("eval", two_sets[0], tmp_path / "edm.npz", "--features", inception, "--limit", 4, "--metrics", metric,
                mentions=[word])


def test_layout_of_sfid_is_not_forgiven(inception, measured, tmp_path):
    b = load(measured[1])
    order = np.arange(2023).reshape(17, 17, 7).transpose(2, 0, 1).ravel()  # as an NCHW port would write it
    np.savez(tmp_path / "nchw.npz", mu=b["mu"], sigma=b["sigma"], mu_s=b["mu_s"][order],
             sigma_s=b["sigma_s"][np.ix_(order, order)])
    told = run("eval", measured[1], tmp_path / "nchw.npz", "--features", inception, "--metrics", "sfid",
               "--no-intervals", "--json").json
    assert told["sfid"] > 0.1 * np.trace(b["sigma_s"])


def test_few_pictures_and_rank_are_said_beside_the_figure(inception, two_sets, measured, evaluated):
    said = "\n".join(evaluated["warnings"])
    assert "50000" in said and "rank 11 of 2048" in said and "rank 13 of 2048" in said and "5000" in said
    text = run("eval", two_sets[0], measured[1], "--features", inception, "--limit", 5, "--metrics", "fid").out
    assert "FID" in text and "5 images against 14" in text and "rank 4 of 2048" in text
    assert "Inception-v3 2015-12-05" in text and "95%" in text


def test_seeds_threads_and_batches_do_not_change_a_figure(inception, two_sets, measured, evaluated):
    rest = "is,precision,recall,kid"
    again = run("eval", two_sets[0], measured[1], "--features", inception, "--json", "--threads", 1, "--batch", 5,
                "--metrics", rest).json
    for name in rest.split(","):
        assert again[name] == pytest.approx(evaluated[name], rel=1e-4, abs=1e-6), name
    other = run("eval", measured[0], measured[1], "--features", inception, "--metrics", "precision,recall", "--seed", 7,
                "--json").json
    assert other["precision"] == evaluated["precision"] and other["recall"] == evaluated["recall"]


def test_options(inception, two_sets, measured):
    told = run("eval", measured[0], measured[1], "--features", inception, "--no-intervals", "--metrics",
               "fid,precision", "--fp16-neighbours", "--json").json
    assert told["intervals"] == {} and told["details"]["precision"]["float16"] is True
    refused("eval", measured[0], measured[1], "--features", inception, "--metrics", "fid,recal", mentions=["recall"])
    refused("eval", measured[0], measured[1], "--features", inception, "--metrics", "is", mentions=["images"])
    refused("eval", measured[0], measured[1], "--features", inception, "--extrapolate", mentions=["extrapolate"])


def test_a_reference_of_something_else_is_refused(inception, two_sets, measured, tmp_path):
    b = load(measured[1])

    def against(name, *mentions, **changes):
        np.savez(tmp_path / f"{name}.npz", **{**{k: v for k, v in b.items() if k != "features"}, **changes})
        refused("eval", two_sets[0], tmp_path / f"{name}.npz", "--features", inception, mentions=[name, *mentions])

    def with_info(old, new):
        return np.frombuffer(bytes(b["diffit"]).replace(old, new), np.uint8)

    info = json.loads(bytes(b["diffit"]))
    other = "0" * 16
    against("network", other, "diffit stats", diffit=with_info(info["identity"].encode(), other.encode()))
    against("resolution", "64", "32 x 32", diffit=with_info(b'"width":32', b'"width":64'))
    against("grey", "grey", "RGB", diffit=with_info(b'"channels":3', b'"channels":1'))
    against("width", "2048", "1000", mu=b["mu"][:1000], sigma=b["sigma"][:1000, :1000])
    against("shape", "sigma", sigma=b["sigma"][:, :2000])
    against("nan", "sigma", sigma=b["sigma"] * np.nan)
    against("skew", "symmetric", sigma=np.triu(b["sigma"]))
    refused("eval", two_sets[0], tmp_path / "nowhere.npz", "--features", inception, mentions=["nowhere.npz"])
    refused("eval", two_sets[0], measured[1], "--features", "fashoin-mnist", mentions=["fashion-mnist"])


# ---- a network that is not Inception, and evaluation while training


@pytest.fixture(scope="module")
def quarters(tmp_path_factory, small_data):
    """A classifier barely trained: its features are as good as any for what is asked here."""
    folder = tmp_path_factory.mktemp("quarters")
    (folder / "quarters.toml").write_text(
        '[model]\nmodel = "classifier"\nname = "Quarters"\nchannels = [8, 16]\nnorm_groups = 2\n'
        '[train]\nimages = 64\nbatch = 16\ndtype = "f32"\n[ema]\nhalf_life_images = 16\npower = []\n')
    run("train", folder / "quarters.toml", "--data", small_data, "--out", folder / "run")
    return folder / "run/snapshot-000000064-ema.safetensors"


def test_a_distance_by_another_network_is_never_called_fid(quarters, small_data, tmp_path):
    pictures, _ = formats.read_edm_zip(small_data)
    np.savez(tmp_path / "dim.npz", arr_0=(pictures[:120, :, :, None] * 0.7).astype(np.uint8))
    told = run("eval", tmp_path / "dim.npz", small_data, "--features", quarters, "--extrapolate", "--json").json
    assert [key for key in told if key in (*ALL, "fd_quarters")] == ["fd_quarters", "is", "precision", "recall", "kid"]
    assert told["network"]["name"] == "Quarters" and "infinity" in told["details"]["fd_quarters"]
    asked = run("eval", tmp_path / "dim.npz", small_data, "--features", quarters, "--metrics", "fid")
    assert "FD-Quarters" in asked.out and "FID" not in asked.out
    assert "diffit stats" in asked.err  # a reference of pictures is measured anew each time, and that is said
    refused("eval", tmp_path / "dim.npz", small_data, "--features", quarters, "--metrics", "sfid", mentions=["Quarters"])
    run("stats", small_data, "-o", tmp_path / "ref.npz", "--features", quarters)
    stored = run("eval", tmp_path / "dim.npz", tmp_path / "ref.npz", "--features", quarters, "--json").json
    for key in ("fd_quarters", "precision", "recall", "kid"):
        assert stored[key] == pytest.approx(told[key], rel=1e-6, abs=1e-9), key


def test_a_collapsed_set_loses_recall_and_a_noisy_one_precision(quarters, small_data, tmp_path):
    pictures, _ = formats.read_edm_zip(small_data)
    rng = np.random.default_rng(5)
    few = pictures[rng.integers(0, 3, 200)].astype(int) + rng.integers(-1, 2, (200, 16, 16))
    sets = {"collapsed": np.clip(few, 0, 255), "noisy": np.where(rng.random(pictures.shape) < 0.5, pictures,
                                                                 rng.integers(0, 256, pictures.shape))}
    told = {}
    for name, made in sets.items():
        np.savez(tmp_path / f"{name}.npz", arr_0=made.astype(np.uint8)[..., None])
        told[name] = run("eval", tmp_path / f"{name}.npz", small_data, "--features", quarters, "--metrics",
                         "fid,precision,recall", "--json").json
    assert told["collapsed"]["precision"] > 0.9 and told["collapsed"]["recall"] < 0.3
    assert told["noisy"]["precision"] < 0.5
    floor = run("eval", small_data, small_data, "--features", quarters, "--metrics", "fid", "--json").json["fd_quarters"]
    assert told["noisy"]["fd_quarters"] > floor + 1e-3 and told["collapsed"]["fd_quarters"] > floor + 1e-3


def evaluations(folder):
    rows = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    return {row["images"]: row["eval"] for row in rows if "eval" in row}


def test_evaluation_while_training_changes_no_bit_and_resumes(quarters, small_data, tmp_path):
    def train(folder, images, *options):
        run("train", "smoke", "--data", small_data, "--out", tmp_path / folder, "--set", "train.batch=8", "--set",
            "train.dtype=f32", "--set", f"train.images={images}", "--set", "train.snapshot_images=32", *options)

    scored = ["--set", "train.eval_images=32", "--set", f'eval.features="{quarters}"', "--set", "eval.pictures=24",
              "--set", "eval.steps=3", "--set", 'eval.metrics="fid,precision"']
    train("plain", 64)
    train("whole", 64, *scored)
    train("parts", 48, *scored)
    train("parts", 64, *scored, "--resume")
    whole, parts = evaluations(tmp_path / "whole"), evaluations(tmp_path / "parts")
    assert list(whole) == [32, 64] and list(parts) == [32, 48, 64]
    assert whole[32] == parts[32] and whole[64] == parts[64]
    assert set(whole[64]) == {"fd_quarters", "precision"} and evaluations(tmp_path / "plain") == {}
    for name in ("snapshot-000000064.safetensors", "snapshot-000000064-ema.safetensors"):
        bits = [formats.read_safetensors(tmp_path / folder / name)[0] for folder in ("plain", "whole", "parts")]
        for other in bits[1:]:
            assert all(np.array_equal(bits[0][key], other[key]) for key in bits[0]), name
    (events,) = (tmp_path / "whole").glob("events*")
    tags = [(step, tag) for step, tag, _ in formats.read_events(events)]
    assert (64, "eval/fd_quarters") in tags and (32, "eval/precision") in tags


def test_evaluation_while_training_is_checked_before_it_starts(quarters, small_data, tmp_path):
    def refuses(*options, mentions):
        sets = [part for option in options for part in ("--set", option)]
        refused("train", "smoke", "--data", small_data, "--out", tmp_path / "run", "--set", "train.eval_images=32", *sets,
                mentions=mentions)
        assert not (tmp_path / "run").exists()

    refuses(mentions=["eval.features"])
    refuses('eval.features="nowhere"', mentions=["nowhere"])
    refuses(f'eval.features="{quarters}"', 'eval.metrics="fit"', mentions=["fid"])
    refuses(f'eval.features="{quarters}"', 'eval.metrics="sfid"', mentions=["sfid"])
    refuses(f'eval.features="{quarters}"', 'eval.reference="nowhere.npz"', mentions=["nowhere.npz"])
    formats.edm_zip(tmp_path / "small.zip", np.zeros((4, 8, 8), np.uint8))
    refuses(f'eval.features="{quarters}"', f'eval.reference="{tmp_path / "small.zip"}"', mentions=["8 x 8", "16 x 16"])

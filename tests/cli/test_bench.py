"""`diffit bench` of latent models: it checks itself, then reports what it reached."""

import json

import pytest
from conftest import refused, run

SMALL = [f"--set=model.{key}" for key in ("hidden=64", "heads=4", "input_size=32", "classes=3", "depth=3")]
QUICK = ["--rounds", 2, "--seconds", 0.01, "--threads", 1, "--device", "cpu"]


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_forward_reports_time_share_and_memory(dtype):
    figures = run("bench", "latent", *SMALL, *QUICK, "--dtype", dtype, "--json").json
    assert figures["config"]["hidden"] == 64 and figures["config"]["depth"] == 3
    assert figures["dtype"] == dtype and figures["batch"] == 2
    for name in ("milliseconds", "gflops", "machine_gflops", "share"):
        spread = figures[name]
        assert len(spread["all"]) == 2
        assert 0 < spread["lowest"] <= spread["median"] <= spread["highest"]
    share = figures["gflops"]["all"][0] / figures["machine_gflops"]["all"][0]
    assert figures["share"]["all"][0] == pytest.approx(share)
    assert 0 < figures["error"] < 0.1
    assert 0 < figures["weight_bytes"] < figures["peak_bytes"]


def test_depth_cuts_the_network_and_attention_and_products_stand_alone():
    assert run("bench", "latent", *SMALL, *QUICK, "--depth", 1, "--json").json["config"]["depth"] == 1
    for what in ("attention", "matmul"):
        figures = run("bench", "latent", *SMALL, *QUICK, "--what", what, "--json").json
        assert figures["what"] == what and figures["gflops"]["median"] > 0


def test_wrong_requests_are_refused():
    refused("bench", "latent", "--what", "sing", *QUICK, mentions=["--what", "sing"])
    refused("bench", "latent", "--set=model.heads=7", *QUICK, mentions=["heads"])
    refused("bench", "smoke", "--depth", 2, *QUICK, mentions=["--depth"])


def test_an_autoencoder_is_measured_by_preset_by_file_and_by_part():
    for config, what in [("fashion-latent-vae", "forward"), ("fashion-latent-vae", "encode"), ("fashion-latent-vae", "decode"),
                         ("fashion-vae", "decode")]:
        figures = run("bench", config, *QUICK, "--what", what, "--size", 32, "--batch", 2, "--json").json
        assert figures["what"] == what and figures["size"] == 32 and figures["batch"] == 2
        assert len(figures["images_per_second"]) == 2 and figures["median"] > 0
    for preset in ("fashion-vae", "fashion-net"):
        assert run("bench", preset, *QUICK, "--batch", 2, "--json").json["what"] == "train"
    refused("bench", "fashion-latent-vae", *QUICK, "--size", 30, mentions=["--size", "multiples of 4"])
    refused("bench", "fashion-latent-vae", *QUICK, "--what", "sing", mentions=["--what", "encode", "sing"])


@pytest.mark.parametrize("key, value, mentions", [
    ("model.classes", "x", ["model.classes", '"x"']), ("model.resolution", "[1]", ["model.resolution"]),
    ("model.in_channels", "1.5", ["model.in_channels", "1.5"]), ("model", "5", ["model", "table"]),
    ("model.channels", "3", ["model.channels", "3"]), ("train", "5", ["train", "table"]),
    ("train.batch", "true", ["train.batch", "true"]), ("data.path", "1", ["data.path", "1"]), ("model.model", "7", ["model.model", "7"]),
    ("train.batch.x", "1", ["train.batch.x"]), ("nothing.x", "1", ["nothing"])])
def test_a_value_of_a_wrong_type_names_its_key(key, value, mentions, tmp_path):
    refused("bench", "smoke", *QUICK, "--set", f"{key}={value}", mentions=mentions)
    if key == "data.path":
        return  # --data is in its place
    refused("train", "smoke", "--data", tmp_path / "none.zip", "--out", tmp_path / "run", "--dry-run", "--set", f"{key}={value}",
            mentions=mentions if not key.startswith("model.") or key == "model.model" else ())


def test_a_table_that_is_none_is_named_where_an_option_writes_into_it(tmp_path):
    refused("train", "smoke", "--data", "x.zip", "--set", "data=5", "--dry-run", mentions=["data", "5", "table"])
    refused("ablate", "fashion-time", "--data", "x.zip", "--set", 'set=["data=5"]', "--dry-run", mentions=["data", "5", "table"])
    refused("ablate", "fashion-time", "--features", "x", "--set", "score=5", "--dry-run", mentions=["score", "5", "table"])


def test_kernels_are_measured_against_their_definitions():
    told = run("bench", "kernels", *QUICK, "--batch", 1, "--dtype", "f32", "--json").json
    names = [result["operation"].split()[0] for result in told["results"]]
    assert names == ["attention"] * 4 + ["group"] * 2 + ["layer"]
    for result in told["results"]:
        assert result["distance"] < 1e-5
        assert all(result[name] > 0 for name in ("forward_ms", "definition_forward_ms", "definition_both_ms"))


def test_a_pointer_in_place_of_a_recipe_is_named(tmp_path):
    (tmp_path / "recipe.toml").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:44\nsize 12\n")
    refused("bench", tmp_path / "recipe.toml", mentions=["recipe.toml", "git-lfs pointer"])


def test_a_trace_is_written_and_summed_up(tmp_path):
    result = run("bench", "smoke", "--batch", 4, "--rounds", 1, "--seconds", 0.1, "--device", "cpu", "--trace", tmp_path / "trace.json",
                 "--json")
    trace = json.loads(result.out)["trace"]
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert trace["times"] and all(time["milliseconds"] >= 0 for time in trace["times"])
    assert {"aten::convolution_backward"} <= {event.get("name") for event in events} & {time["name"] for time in trace["times"]}


def test_training_of_a_latent_model_is_measured():
    sizes = {"hidden": 32, "depth": 1, "heads": 2, "input_size": 8, "classes": 10}
    result = run("bench", "imagenet256", "--batch", 4, "--rounds", 1, "--seconds", 0.1, "--device", "cpu", "--json",
                 *[word for key, value in sizes.items() for word in ("--set", f"model.{key}={value}")])
    figures = json.loads(result.out)
    assert figures["median"] > 0 and figures["flop_per_image"] > 0

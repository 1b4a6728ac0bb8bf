"""`diffit bench` of latent models: it checks itself, then reports what it reached."""

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

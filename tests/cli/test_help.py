"""The command line teaches: help, near names, exit codes."""

import pytest
from conftest import refused, run

COMMANDS = ["sample", "denoise", "train", "data", "info", "report"]

pytestmark = pytest.mark.smoke


def test_help_lists_the_commands():
    out = run("--help").out
    for command in COMMANDS:
        assert command in out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_goes_to_stdout_with_its_options(command):
    result = run(command, "--help")
    assert "Usage" in result.out or "usage" in result.out
    assert "--help" in result.out
    assert result.err == ""


def test_help_of_sample_tells_defaults():
    out = run("sample", "--help").out
    for option in ["--seeds", "--classes", "--sampler", "--steps", "--guidance", "--churn", "--s-min", "--s-max",
                   "--s-noise", "--init-noise", "--step-noise", "--batch", "--device", "--dtype", "--threads", "--json",
                   "--quiet"]:
        assert option in out, option
    assert "18" in out and "heun" in out


def test_no_command_teaches():
    assert run().out == run("--help").out


@pytest.mark.parametrize("wrong, right", [("smaple", "sample"), ("trian", "train"), ("inof", "info")])
def test_an_unknown_command_names_the_nearest(wrong, right):
    assert right in refused(wrong, mentions=[wrong])


def test_an_unknown_option_names_the_nearest():
    assert "--steps" in refused("sample", "-m", "x", "-o", "y.png", "--stpes", "3", mentions=["--stpes"])
    assert "--guidance" in refused("sample", "-m", "x", "-o", "y.png", "--guidence", "3", mentions=["--guidence"])


def test_version():
    assert run("--version").out.strip().endswith("0.2.0")


@pytest.mark.parametrize("arguments", [
    ["sample", "-m", "nowhere.safetensors", "-o", "x.png"],
    ["denoise", "-m", "nowhere.safetensors", "-i", "in.safetensors", "-o", "out.safetensors"],
    ["info", "nowhere.safetensors"],
    ["train", "nowhere.toml"],
    ["data", "info", "nowhere.zip"],
    ["data", "convert", "nowhere.zip", "dest.zip"],
    ["data", "preview", "nowhere.zip", "-o", "x.png"],
])
def test_a_file_that_is_not_there_is_named(arguments, tmp_path):
    refused(*arguments, cwd=tmp_path, mentions=["nowhere"])
    assert list(tmp_path.iterdir()) == []

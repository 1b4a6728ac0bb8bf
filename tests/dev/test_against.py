"""bench/against.py, which compares the speed of two programs: here, two shell scripts that print what diffit would."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import against  # noqa: E402


@pytest.mark.parametrize("result, rates", [
    ({"images_per_second": [3.0, 5.0], "median": 4.0}, {"": 4.0}),
    ({"pictures_per_second": [8.0], "median": 8.0}, {"": 8.0}),
    ({"seconds": [0.25], "median": 0.25}, {"": 4.0}),
    ({"batch": 2, "milliseconds": {"all": [500.0], "median": 500.0}}, {"": 4.0}),
    ({"pictures": 6, "seconds": 1.5, "evaluations": 35}, {"": 4.0}),
    ({"results": [{"operation": "norm 3x4", "forward_ms": 2.0, "both_ms": 8.0}]},
     {"norm 3x4, forward": 500.0, "norm 3x4, both": 125.0}),
])
def test_rates_of_every_kind_of_result(result, rates):
    assert against.rates(result) == rates


def test_rounds_alternate_and_pair_what_both_report():
    calls, counts = [], [0, 0]

    def measure(which):
        def once():
            calls.append(which)
            counts[which] += 1
            return {"a": 10 * counts[which] + which, "only 0" if which == 0 else "only 1": 1}
        return once

    pairs = against.interleaved([measure(0), measure(1)], 3)
    assert calls == [1, 0, 0, 1, 1, 0]
    assert pairs == {"a": [(10, 11), (20, 21), (30, 31)]}


@pytest.mark.parametrize("ratios, verdict", [
    ([0.90, 0.95, 0.99], "slower"), ([0.90, 0.92, 1.01], ""), ([0.98, 0.985, 0.99], ""), ([1.01, 1.05, 1.2], "faster"),
    ([0.5, 2.0, 1.0], "")])
def test_a_verdict_needs_every_round_and_more_than_the_tolerance(ratios, verdict):
    pairs = [(ratio * speed, speed) for ratio, speed in zip(ratios, (10, 1000, 3))]  # the machine's speed cancels
    row = against.summary(pairs, 0.03)
    assert row["verdict"] == verdict
    assert row["ratio"] == pytest.approx(sorted(ratios)[1])
    assert (row["lowest"], row["highest"]) == (pytest.approx(min(ratios)), pytest.approx(max(ratios)))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of one commit, which is built already, and a program of the tree: both note their calls."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    subprocess.run("git init -q && git -c user.name=x -c user.email=x@x commit -q --allow-empty -m one", shell=True,
                   cwd=tmp_path, check=True)
    monkeypatch.setattr(against, "ROOT", tmp_path)

    def script(path, name, rate, extra=""):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"""#!/bin/sh
echo "{name} $*" >> '{tmp_path}/calls'
{extra}
echo '{{"median": {rate}, "images_per_second": [{rate}]}}'
""")
        path.chmod(0o755)
        return path

    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True).stdout.strip()
    theirs = tmp_path / "build/against" / commit[:12] / "diffit"
    return tmp_path, lambda name, rate, extra="": script(tmp_path / "bin/diffit" if name == "ours" else theirs, name, rate, extra)


def compare(folder, *more):
    return against.main(["--against", "HEAD", "--diffit", str(folder / "bin/diffit"), "--only", "smoke forward", "--dtypes",
                         "bf16", "--rounds", "3", "--json", str(folder / "out.json"), *more])


def test_two_programs_are_timed_in_turn_with_equal_arguments(repository, capsys):
    folder, script = repository
    script("ours", 90.0), script("theirs", 120.0)
    assert compare(folder, "--threads", "1", "--seconds", "0.5", "--markdown", str(folder / "out.md")) == 1
    calls = [line.split(" ", 1) for line in (folder / "calls").read_text().splitlines()]
    assert [name for name, _ in calls] == ["theirs", "ours", "ours", "theirs", "theirs", "ours"]
    assert {arguments for _, arguments in calls} == {
        "bench smoke --what forward --dtype bf16 --threads 1 --json --quiet --rounds 1 --seconds 0.5"}
    row, = json.loads((folder / "out.json").read_text())["rows"]
    assert row["ratio"] == 0.75 and row["pairs"] == [[90.0, 120.0]] * 3 and row["verdict"] == "slower"
    assert "| smoke forward | bf16 | 90 | 120 | 0.750 | 0.750 | 0.750 | slower |" in (folder / "out.md").read_text()
    assert capsys.readouterr().err == "slower: smoke forward bf16\n"
    script("ours", 119.0)
    assert compare(folder) == 0


def test_what_the_earlier_commit_cannot_do_is_left_out_and_what_this_tree_cannot_do_fails(repository, capsys):
    folder, script = repository
    script("ours", 90.0), script("theirs", 120.0, "echo 'error: unknown' >&2; exit 2")
    assert compare(folder) == 0
    assert "not measured: " in (printed := capsys.readouterr().out) and "error: unknown" in printed
    assert (folder / "calls").read_text().count("\n") == 1
    script("ours", 90.0, "exit 3"), script("theirs", 120.0)
    assert compare(folder) == 1
    assert "this tree: exit code 3" in capsys.readouterr().out


def test_wrong_requests(repository, capsys):
    folder, script = repository
    script("ours", 1.0), script("theirs", 1.0)
    for arguments, word in [(["--against", "none"], "none"), (["--against", "HEAD", "--only", "sing"], "sing"),
                            (["--against", "--version"], "--against")]:
        try:
            code = against.main([*arguments, "--diffit", str(folder / "bin/diffit")])
        except SystemExit as left:  # argparse
            code = left.code
        assert code == 2 and word in capsys.readouterr().err
    assert not (folder / "calls").exists()


def test_quick_is_a_part_of_the_benchmarks():
    names = {benchmark.name for benchmark, _ in against.chosen(against.parsed(["--against", "x", "--quick"]))}
    everything = {benchmark.name for benchmark, _ in against.chosen(against.parsed(["--against", "x"]))}
    assert names < everything == {benchmark.name for benchmark in against.BENCHMARKS}
    assert {"start", "fashion-mnist train", "latent-256 forward", "sample fashion-mnist"} <= names

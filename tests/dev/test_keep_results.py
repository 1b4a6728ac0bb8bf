"""scripts/keep_results.py: what docs/results keeps of an experiment."""

import pathlib
import subprocess
import sys
import zipfile

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts/keep_results.py"


def keep(record, to):
    return subprocess.run([sys.executable, SCRIPT, record, to], capture_output=True, text=True)


@pytest.fixture
def record(tmp_path):
    folder = tmp_path / "record"
    for trial in ("b-seed0", "a-seed0"):
        (folder / "runs" / trial).mkdir(parents=True)
        for name in ("config.toml", "stats.jsonl", "scores.json", "samples-000000096.png", "state-1.safetensors"):
            (folder / "runs" / trial / name).write_text(f"{trial} {name}\n" * 50)
    (folder / "runs/unfinished").mkdir()
    (folder / "runs/unfinished/config.toml").write_text("x")
    (folder / "plots").mkdir()
    for name in ("plots/loss.svg", "plots/loss.png", "table.md", "page.html", "results.json"):
        (folder / name).write_text(name)
    return folder


def test_table_plots_and_finished_trainings_are_kept(record, tmp_path):
    done = keep(record, tmp_path / "docs/time")
    assert done.returncode == 0 and "2 trainings" in done.stdout, done.stderr
    files = {str(path.relative_to(tmp_path / "docs/time")) for path in (tmp_path / "docs/time").rglob("*") if path.is_file()}
    assert files == {"table.md", "plots/loss.svg", "runs.zip"}
    with zipfile.ZipFile(tmp_path / "docs/time/runs.zip") as archive:
        assert archive.namelist() == [f"runs/{trial}/{name}" for trial in ("a-seed0", "b-seed0")
                                      for name in ("config.toml", "stats.jsonl", "scores.json")]
        assert archive.read("runs/b-seed0/scores.json").decode() == "b-seed0 scores.json\n" * 50
        assert all(entry.compress_size < entry.file_size / 5 for entry in archive.infolist())


def test_equal_records_give_equal_bytes(record, tmp_path):
    keep(record, tmp_path / "one")
    for path in (record / "runs").rglob("*"):
        path.touch()
    keep(record, tmp_path / "two")
    assert (tmp_path / "one/runs.zip").read_bytes() == (tmp_path / "two/runs.zip").read_bytes()


def test_what_is_no_record_is_refused(record, tmp_path):
    for wrong, to, word in [(tmp_path, tmp_path / "to", "--record"), (record, record, "same")]:
        done = keep(wrong, to)
        assert done.returncode == 1 and done.stderr.startswith("error: ") and word in done.stderr
    assert not list((tmp_path / "to").glob("*"))

#!/usr/bin/env python3
"""Keeps what docs/results/ holds of an experiment: the table, the plots as SVG, and the finished trainings as one zip.

    bin/diffit ablate fashion-time --out runs/time --record runs/time-record
    scripts/keep_results.py runs/time-record docs/results/fashion-time
    bin/diffit ablate fashion-time --from docs/results/fashion-time --out runs/again       nothing is trained

runs.zip has runs/NAME/{config.toml,stats.jsonl,scores.json} of every finished training. Its bytes depend only on these files.
"""
import argparse
import pathlib
import shutil
import sys
import zipfile

KEPT = ("config.toml", "stats.jsonl", "scores.json")  # what --from and the tables are made of


def pack(record, path):
    """Writes runs.zip and returns the number of trainings; those that are not finished have no scores and are left out."""
    trials = sorted(folder for folder in (record / "runs").glob("*") if all((folder / name).is_file() for name in KEPT))
    if not trials:
        raise ValueError(f"{record}: wanted the folder of diffit ablate --record, with runs/*/{{{','.join(KEPT)}}}; found none")
    new = path.with_name(path.name + ".tmp")
    with zipfile.ZipFile(new, "w") as archive:
        for trial in trials:
            for name in KEPT:
                entry = zipfile.ZipInfo(f"runs/{trial.name}/{name}", (1980, 1, 1, 0, 0, 0))
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, (trial / name).read_bytes(), compresslevel=9)
    new.replace(path)
    return len(trials)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=pathlib.Path, help="the folder of diffit ablate --record or --out")
    parser.add_argument("to", type=pathlib.Path, help="the folder of the experiment in docs/results")
    options = parser.parse_args()
    if options.to.exists() and options.to.samefile(options.record):
        sys.exit("error: both folders are the same; give another one to write to")
    options.to.mkdir(parents=True, exist_ok=True)
    try:
        count = pack(options.record, options.to / "runs.zip")
    except ValueError as wrong:
        sys.exit(f"error: {wrong}")
    shutil.copyfile(options.record / "table.md", options.to / "table.md")
    for plot in sorted((options.record / "plots").glob("*.svg")):
        (options.to / "plots").mkdir(exist_ok=True)
        shutil.copyfile(plot, options.to / "plots" / plot.name)
    print(f"{options.to}: table, plots and {count} trainings")


if __name__ == "__main__":
    main()

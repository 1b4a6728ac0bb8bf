#!/usr/bin/env python3
"""Compares the speed of this tree with that of an earlier commit: builds the commit, and times both programs alternately.

    ./dev bench --against main                    all benchmarks, about half an hour on two cores after the build
    ./dev bench --against HEAD~5 --quick          the most important ones, about four minutes
    ./dev bench --against main~20 --only latent attention --rounds 9
    ./dev bench --against HEAD --quick            an unchanged tree against itself: the noise of this machine

The commit is built once, in build/against/COMMIT, with the LibTorch of this tree; `./dev clean` removes it.
A round runs both programs for a few seconds, one after the other, and the next round runs them in the opposite order. The
ratio is computed within each round, so that changes in machine speed affect both programs; above 1, this tree is faster.
`slower` marks a benchmark that was slower in every round, and by more than --tolerance in the median. The exit code is 1 if
there is one, or if this tree fails where the commit does not; 2 if the request is wrong; 0 otherwise.
"""
import argparse
import dataclasses
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINE = "{:<40}{:<6}{:>12}{:>12}{:>8}{:>9}{:>9}  {}"
HEAD = ["benchmark", "dtype", "this tree", "REV", "ratio", "lowest", "highest", ""]


class Failed(Exception):
    """A program, or a step of a build, failed; the text is one line."""


class WrongRequest(Exception):
    """What was asked for does not exist."""


@dataclasses.dataclass(frozen=True)
class Benchmark:
    name: str
    arguments: tuple  # of diffit; FOLDER stands for a temporary folder
    dtypes: tuple = ("f32", "bf16")
    quick: bool = False  # part of --quick
    seconds: float = 600  # longest round, where a run has many
    repeats: int = 0  # times `diffit ARGUMENTS` itself, that many times in a round; 0: reads its result


def trained(config, quick=False, *more):
    return [Benchmark(f"{config} {what}", ("bench", config, "--what", what, *more), quick=quick)
            for what in ("train", "forward")]


# Networks of fewer blocks than the released 28, which are all identical.
BENCHMARKS = [
    Benchmark("start", ("--version",), ("",), quick=True, repeats=10),
    *trained("smoke"),
    *trained("fashion-mnist", quick=True),
    *trained("cifar10", False, "--batch", "4"),
    Benchmark("latent-256 forward", ("bench", "latent", "--what", "forward", "--depth", "2"), quick=True),
    Benchmark("latent-256 attention", ("bench", "latent", "--what", "attention"), quick=True),
    Benchmark("latent-512 attention",
              ("bench", "latent", "--what", "attention", "--set", "model.input_size=64")),
    Benchmark("sample fashion-mnist", ("sample", "-m", "fashion-mnist", "-n", "4", "--seeds", "0-3", "-o",
                                       "FOLDER/samples.png"), quick=True),
    Benchmark("fashion-vae train", ("bench", "fashion-vae", "--what", "train")),
    Benchmark("autoencoder decode", ("bench", "fashion-latent-vae", "--what", "decode", "--size", "64", "--batch", "4")),
    Benchmark("features", ("bench", "features"), ("f32",)),
    Benchmark("frechet", ("bench", "scores", "--what", "frechet"), ("f32",)),
    Benchmark("kernels", ("bench", "kernels", "--batch", "4"), seconds=0.1),
]


def rates(result):
    """From the JSON of `diffit bench` or `diffit sample`: rates by name, more is faster; "" names the only one."""
    if "results" in result:  # operations
        return {f"{r['operation']}, {part}": 1e3 / r[f"{part}_ms"] for r in result["results"] for part in ("forward", "both")}
    if "milliseconds" in result:
        return {"": 1e3 * result.get("batch", 1) / result["milliseconds"]["median"]}
    if "evaluations" in result:  # samples
        return {"": result["pictures"] / result["seconds"]}
    if isinstance(result.get("seconds"), list):
        return {"": 1 / result["median"]}
    return {"": result["median"]}


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    path: Path
    home: Path  # of presets and bundled models

    def run(self, arguments):
        done = subprocess.run([str(self.path), *arguments], capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL,
                              env={**os.environ, "DIFFIT_HOME": str(self.home)})
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise Failed(f"{self.name}: {said}")
        return done.stdout

    def measure(self, benchmark, dtype, options, folder):
        arguments = [argument.replace("FOLDER", str(folder)) for argument in benchmark.arguments]
        if benchmark.repeats:
            began = time.monotonic()
            for _ in range(benchmark.repeats):
                self.run(arguments)
            return {"": benchmark.repeats / (time.monotonic() - began)}
        arguments += ["--dtype", dtype, "--threads", str(options.threads), "--json", "--quiet"]
        if arguments[0] == "bench":
            arguments += ["--rounds", "1", "--seconds", str(min(options.seconds, benchmark.seconds))]
        return rates(json.loads(self.run(arguments)))


def interleaved(measures, rounds):
    """Calls the two measures in turn, the second one first in the first, third, ... round: pairs (first, second) by name.

    A name that one of them does not report is left out. Where the earlier commit, which is the second, does not know a
    benchmark, nothing else is measured of it.
    """
    pairs = {}
    for number in range(rounds):
        found = [{}, {}]
        for which in (1, 0) if number % 2 == 0 else (0, 1):
            found[which] = measures[which]()
        for name in found[0]:
            if name in found[1]:
                pairs.setdefault(name, []).append((found[0][name], found[1][name]))
    return pairs


def summary(pairs, tolerance):
    """Medians of both, then median, lowest and highest of the ratios within rounds, and what follows from them."""
    ratios = [ours / theirs for ours, theirs in pairs]
    median, lowest, highest = statistics.median(ratios), min(ratios), max(ratios)
    verdict = ""
    if highest < 1 and median < 1 - tolerance:
        verdict = "slower"
    elif lowest > 1 and median > 1 + tolerance:
        verdict = "faster"
    return {"ours": statistics.median(p[0] for p in pairs), "theirs": statistics.median(p[1] for p in pairs),
            "ratio": median, "lowest": lowest, "highest": highest, "verdict": verdict}


def git(*arguments):
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)


def commit_of(revision):
    found = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode != 0:
        raise WrongRequest(f"--against: wanted a commit, branch or tag of this repository, got '{revision}'; "
                          "a shallow clone lacks older ones: git fetch --unshallow")
    return found.stdout.strip()


def step(what, command, **more):
    done = subprocess.run(list(map(str, command)), stdout=2, **more)
    if done.returncode != 0:
        raise Failed(f"{what} failed with exit code {done.returncode}: {' '.join(map(str, command))}")


def built(commit):
    """The program of a commit, built if it is not there: build/against/COMMIT/ holds the sources and the program."""
    folder = ROOT / "build/against" / commit[:12]
    program = Program(commit[:12], folder / "diffit", folder)
    if program.path.exists():
        return program
    print(f"==> building {commit[:12]} in {folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = subprocess.Popen(["git", "-C", str(ROOT), "archive", commit], stdout=subprocess.PIPE)
    step("unpacking the commit", ["tar", "-x", "-C", folder], stdin=archive.stdout)
    pinned = "cmake/libtorch-requirements.txt"
    if not (folder / pinned).exists() or (folder / pinned).read_bytes() != (ROOT / pinned).read_bytes():
        print(f"note: {commit[:12]} pins another LibTorch; it is built with that of this tree", file=sys.stderr)
    environment = dict(os.environ)
    if shutil.which("ccache") and not ccache_base():  # the commits that are compared share most files
        environment |= {"CCACHE_BASEDIR": str(folder), "CCACHE_NOHASHDIR": "1"}
    # The same depth and options as build/release, so that ccache serves the files that both trees share; without -Werror
    # only where a newer compiler than that of the commit warns.
    build = folder / "build/release"
    for werror in ("ON", "OFF"):
        step("configuring", ["cmake", "-S", folder, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DDIFFIT_TESTS=OFF",
                             f"-DDIFFIT_WERROR={werror}", f"-DLIBTORCH_ROOT={ROOT / '.deps/libtorch'}"], env=environment)
        try:
            step("building", ["cmake", "--build", build, "-j", os.environ.get("DIFFIT_JOBS") or os.cpu_count(),
                              "--target", "diffit"], env=environment)
            break
        except Failed:
            if werror == "OFF":
                raise
    made = [path for path in build.rglob("diffit") if path.is_file() and os.access(path, os.X_OK)]
    if len(made) != 1:
        raise Failed(f"{build}: wanted one program named diffit, found {len(made)}")
    for pattern in ("*.o", "*.a", "*.gch"):  # what the program no longer needs: most of the space
        for path in build.rglob(pattern):
            path.unlink()
    program.path.symlink_to(made[0].relative_to(folder))  # last: marks the folder as complete
    return program


def ccache_base():
    return subprocess.run(["ccache", "--get-config", "base_dir"], capture_output=True, text=True).stdout.strip()


def machine():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"


def chosen(options):
    """(benchmark, dtype) of everything that was asked for."""
    found = []
    for benchmark in BENCHMARKS:
        if options.quick and not options.only and not benchmark.quick:
            continue
        if options.only and not any(word in benchmark.name for word in options.only):
            continue
        found += [(benchmark, dtype) for dtype in benchmark.dtypes if dtype in ("", *options.dtypes)]
    if not found:
        raise WrongRequest(f"--only: no benchmark's name has '{' '.join(options.only or [])}' in it; there are: "
                          + ", ".join(b.name for b in BENCHMARKS))
    return found


def compare(programs, benchmarks, options, show):
    """Rows of summaries; `show` is given each as it comes."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for benchmark, dtype in benchmarks:
            measures = [lambda p=p: p.measure(benchmark, dtype, options, folder) for p in programs]
            label = {"benchmark": benchmark.name, "dtype": dtype}
            try:
                pairs = interleaved(measures, options.rounds)
            except Failed as failure:
                rows.append(label | {"error": str(failure)})
                show(rows[-1])
                continue
            for name, values in pairs.items():
                row = label | {"benchmark": name or benchmark.name, "pairs": values} | summary(values, options.tolerance)
                rows.append(row)
                show(row)
    return rows


def cells(row):
    if "error" in row:
        return [row["benchmark"], row["dtype"], "", "", "", "", "", f"not measured: {row['error']}"]
    return [row["benchmark"], row["dtype"], *(f"{row[key]:.4g}" for key in ("ours", "theirs")),
            *(f"{row[key]:.3f}" for key in ("ratio", "lowest", "highest")), row["verdict"]]


def parsed(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", required=True, metavar="REV", help="the commit, branch or tag to compare with")
    parser.add_argument("--quick", action="store_true", help="fewer benchmarks, shorter rounds")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="benchmarks with one of these words in their names: "
                        + ", ".join(b.name for b in BENCHMARKS))
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, help="length of a round; default 2, with --quick 0.5")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--tolerance", type=float, default=0.03, help="a median this far below 1 is `slower` (default 0.03)")
    parser.add_argument("--diffit", type=Path, default=ROOT / "bin/diffit", help="the program of this tree")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--markdown", type=Path, help="write the table to this file")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds: wanted at least 1, got {options.rounds}")
    if options.seconds is None:
        options.seconds = 0.5 if options.quick else 2
    return options


def write_table(path, title, rows):
    lines = ["# Speed against an earlier commit", "", title, "", "| " + " | ".join(HEAD) + " |", "|---|---|--:|--:|--:|--:|--:|---|"]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    path.write_text("\n".join(lines) + "\n")


def main(arguments=None):
    options = parsed(arguments)
    try:
        benchmarks = chosen(options)
        commit = commit_of(options.against)
        programs = [Program("this tree", options.diffit.resolve(), ROOT), built(commit)]
        if not programs[0].path.exists():
            raise Failed(f"{programs[0].path}: no such program; run ./dev build")
    except WrongRequest as wrong:
        print(f"error: {wrong}", file=sys.stderr)
        return 2
    except Failed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    changed = " with changes" if git("status", "--porcelain", "-uno").stdout.strip() else ""
    title = (f"This tree ({git('rev-parse', '--short', 'HEAD').stdout.strip()}{changed}) against {options.against} ({commit[:12]}); "
             f"{machine()}, {options.threads} threads, {options.rounds} rounds of {options.seconds:g} s; rates per second")
    print(title, flush=True)
    print(LINE.format(*HEAD).rstrip(), flush=True)
    rows = compare(programs, benchmarks, options, lambda row: print(LINE.format(*cells(row)).rstrip(), flush=True))
    if options.json:
        options.json.write_text(json.dumps({"title": title, "commit": commit, "rows": rows}, indent=1) + "\n")
    if options.markdown:
        write_table(options.markdown, title, rows)
    failed = [row["benchmark"] for row in rows if row.get("error", "").startswith("this tree")]
    slower = [f"{row['benchmark']} {row['dtype']}".strip() for row in rows if row.get("verdict") == "slower"]
    if slower:
        print("slower: " + ", ".join(slower), file=sys.stderr)
    return 1 if slower or failed else 0


if __name__ == "__main__":
    sys.exit(main())

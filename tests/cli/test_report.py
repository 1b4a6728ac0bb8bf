"""diffit report: one self-contained page of one run or of several, of killed runs, of hostile names."""

import base64
import html.parser
import io
import json
import re
import shutil

import pytest
from conftest import refused, run
from PIL import Image

VOID = {"meta", "link", "img", "br", "hr", "input", "path", "rect"}


class Page(html.parser.HTMLParser):
    """Elements, text and what is wrong with the nesting."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.open, self.elements, self.wrong, self.words = [], [], [], []
        self.feed(self.source)
        self.close()
        self.wrong += [f"{tag} is not closed" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        names = [name for name, _ in attributes]
        if len(names) != len(set(names)):
            self.wrong.append(f"{tag}: an attribute twice")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.wrong.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def check_page(path):
    """What holds of every page."""
    page = Page(path)
    assert page.wrong == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} {name}"
            if name in ("src", "href", "xlink:href", "action", "poster", "srcset", "data"):
                assert value.startswith(("data:", "#")), f"{tag} {name}={value[:80]}"
            if name == "href" and value.startswith("#"):
                assert value[1:] in ids
            if name == "aria-labelledby":
                assert set(value.split()) <= set(ids)
    without_pictures = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page.source)
    outside = re.findall(r"(?:https?:)?//[a-z][^\s\"'<)]*", without_pictures)
    assert set(outside) <= {"http://www.w3.org/2000/svg"}, "a name, nothing that is fetched"
    assert "@import" not in page.source and "url(" not in page.source
    for image in page.all("img"):
        assert image["alt"].strip()
        picture = Image.open(io.BytesIO(base64.b64decode(image["src"].split(",", 1)[1], validate=True)))
        picture.load()
        assert int(image["width"]) % picture.width == 0
    for table in re.findall(r"<table.*?</table>", page.source, flags=re.S):
        assert "<caption>" in table
    for drawing in page.all("svg"):
        assert drawing["role"] == "img"
    assert "lang" in page.all("html")[0]
    return page


@pytest.fixture(scope="module")
def runs(tmp_path_factory, small_data):
    """Two short trainings that differ in a key."""
    folder = tmp_path_factory.mktemp("runs")
    for name, options in (("first", []), ("second", ["--set", "optimiser.lr=5e-4"])):
        run("train", "smoke", "--data", small_data, "--out", folder / name, "--threads", "2", "--set",
            "train.batch=8", "--set", "train.dtype=f32", "--set", "train.images=96", "--set", "train.log_images=8",
            "--set", "train.snapshot_images=48", "--set", "sample.pictures=8", "--set", "sample.steps=4", *options)
    return folder


def report(*arguments, code=0):
    return run("report", *arguments, "--steps", "4", "--threads", "2", "--json", code=code)


@pytest.mark.smoke
def test_one_run(runs, tmp_path):
    result = report(runs / "first", "-o", tmp_path / "page.html").json
    assert result["runs"] == 1 and result["notes"] == []
    page = check_page(tmp_path / "page.html")
    for heading in ("Summary", "Curves", "Samples", "Denoising", "Nearest training images", "How this was made"):
        assert heading in page.text, heading
    for plot in ("loss", "lr", "images-per-second", "memory-bytes"):
        assert any(figure.get("id") == plot for figure in page.all("figure")), plot
    assert "diffit train smoke --data" in page.text, "the command as it was typed"
    assert "train.batch=8" in page.text
    assert "[optimiser]" in page.text, "the configuration"
    assert "kernels" in page.text, "the machine"
    parameters = run("info", runs / "first/snapshot-000000096-ema.safetensors", "--json").json["parameters"]
    assert f"{parameters / 1000:.1f} k" in page.text
    pictures = {image["alt"] for image in page.all("img")}
    assert any("images of the training set" in alt for alt in pictures)
    assert any(alt.startswith("class 3, expected at σ 80") for alt in pictures)
    assert any(alt.startswith("training image") for alt in pictures)


def test_several_runs_share_the_plots_and_what_differs_is_told(runs, tmp_path):
    report(runs / "first", runs / "second", "-o", tmp_path / "page.html", "--no-samples")
    page = check_page(tmp_path / "page.html")
    assert "Differences" in page.text and "optimiser.lr" in page.text and "0.0005" in page.text
    table = re.search(r"<strong>Differences.*?</table>", page.source, flags=re.S)[0]
    assert "train.batch" not in table
    loss = re.search(r'<figure id="loss">.*?</svg>', page.source, flags=re.S)[0]
    assert set(re.findall(r'data-label="([^"]*)"', loss)) == {"first", "second"}
    assert "Denoising" not in page.text, "--no-samples"


def test_a_folder_of_runs_is_its_runs(runs, tmp_path):
    assert report(runs, "-o", tmp_path / "page.html", "--no-samples").json["runs"] == 2


def test_plots_for_a_paper(runs, tmp_path):
    result = report(runs / "first", "-o", tmp_path / "page.html", "--no-samples", "--plots", tmp_path / "plots").json
    assert {path.name for path in (tmp_path / "plots").iterdir()} >= {"loss.svg", "loss.png", "lr.svg", "lr.png"}
    assert len(result["plots"]) == len(list((tmp_path / "plots").iterdir()))
    svg = (tmp_path / "plots/loss.svg").read_text()
    assert svg.startswith("<svg xmlns") and "var(" not in svg and "#0072b2" in svg
    picture = Image.open(tmp_path / "plots/loss.png")
    assert picture.width >= 1200 and picture.mode == "RGB"
    assert picture.getpixel((0, 0)) == (255, 255, 255)
    ink = sum(count for count, colour in picture.getcolors(1 << 24) if colour != (255, 255, 255))
    assert 0.005 < ink / (picture.width * picture.height) < 0.5


def test_the_page_without_samples_is_the_same_each_time(runs, tmp_path):
    pages = []
    for _ in range(2):
        report(runs / "first", "-o", tmp_path / "page.html", "--no-samples")
        pages.append((tmp_path / "page.html").read_bytes())
    assert pages[0] == pages[1]


@pytest.fixture
def copy(runs, tmp_path):
    shutil.copytree(runs / "first", tmp_path / "copy")
    return tmp_path / "copy"


def test_a_killed_run_is_reported_as_far_as_it_came(copy, tmp_path):
    stats = copy / "stats.jsonl"
    lines = stats.read_text().splitlines(keepends=True)
    stats.write_text("".join(lines[:4]) + "not json\n[1, 2]\n{\"loss\": 3}\n" + lines[4][: len(lines[4]) // 2])
    result = report(copy, "-o", tmp_path / "page.html", "--no-samples").json
    assert "4 lines" in " ".join(result["notes"])
    page = check_page(tmp_path / "page.html")
    assert "4 lines of stats.jsonl are truncated or malformed" in page.text
    assert any(figure.get("id") == "loss" for figure in page.all("figure"))


@pytest.mark.parametrize("missing", ["stats.jsonl", "config.toml", "log.txt", "reals.png", "samples-000000096.png",
                                     "snapshot-000000096-ema.safetensors"])
def test_what_is_missing_is_said_in_place(copy, tmp_path, missing):
    for path in copy.glob("snapshot*") if "snapshot" in missing else [copy / missing]:
        path.unlink()
    report(copy, "-o", tmp_path / "page.html")
    page = check_page(tmp_path / "page.html")
    said = {"stats.jsonl": "There is no stats.jsonl", "config.toml": "There is no config.toml",
            "log.txt": "the log does not contain the original command", "reals.png": "contains no reals.png"}
    assert said.get(missing, "no snapshot" if "snapshot" in missing else "Curves") in page.text


@pytest.mark.parametrize("name", ["reals.png", "samples-000000096.png", "snapshot-000000096-ema.safetensors",
                                  "config.toml", "stats.jsonl", "log.txt", "scores.json"])
def test_broken_files_break_no_page(copy, tmp_path, name):
    (copy / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3)
    report(copy, "-o", tmp_path / "page.html")
    check_page(tmp_path / "page.html")


def test_training_data_that_are_gone_are_said_in_place(copy, tmp_path):
    config = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text(re.sub(r'path = ".*"', 'path = "/nowhere/at/all.zip"', config))
    report(copy, "-o", tmp_path / "page.html")
    page = check_page(tmp_path / "page.html")
    assert "No neighbours:" in page.text and "/nowhere/at/all.zip" in page.text
    assert any("expected at" in image["alt"] for image in page.all("img")), "trajectories need no data"


def test_hostile_text_is_text(runs, tmp_path):
    hostile = tmp_path / "<script>alert(1)<x onload='y'>&\"''"
    shutil.copytree(runs / "first", hostile)
    stats = hostile / "stats.jsonl"
    row = {"images": 96, "<b>&\"'": 1.5, "../../up": 2, "eval": {"<i>fid</i>": 3, "fid_low": 1}}
    stats.write_text(stats.read_text() + json.dumps(row) + "\n" + json.dumps({"images": 97, "</script>": 1e308}) + "\n"
                     + '{"images": 98, "loss": 1e999}\n{"images": 1e300, "loss": -5}\n')
    (hostile / "log.txt").write_text("2026-01-01 00:00:00  command: diffit '</code></pre><script>' \x1b[31m\n")
    report(hostile, "-o", tmp_path / "page.html", "--no-samples", "--plots", tmp_path / "plots", "--title",
           "</title><script>")
    page = check_page(tmp_path / "page.html")
    assert len(page.all("script")) == 1, "the page's own"
    assert not page.all("b") and not page.all("i")
    assert "<script>alert(1)" in page.text
    for path in (tmp_path / "plots").iterdir():
        assert re.fullmatch(r"[a-z0-9-]+\.(svg|png)", path.name)


def test_evaluations_with_their_intervals(copy, tmp_path):
    stats = copy / "stats.jsonl"
    rows = [{"images": images, "eval": {"fid": 90 - images / 2, "fid_low": 88 - images / 2, "fid_high": 93 - images / 2,
                                        "precision": {"value": 0.5, "low": 0.4, "high": 0.6}}, "eval_seconds": 3}
            for images in (48, 96)]
    stats.write_text(stats.read_text() + "".join(json.dumps(row) + "\n" for row in rows))
    (copy / "scores.json").write_text(json.dumps([{"images": 96, "value": 7.25, "low": 7, "high": 7.5}]))
    report(copy, "-o", tmp_path / "page.html", "--no-samples")
    page = check_page(tmp_path / "page.html")
    assert "FID ↓" in page.text and "precision ↑" in page.text
    assert "42.00 [40.00, 45.00]" in page.text
    assert "0.5000 [0.4000, 0.6000]" in page.text
    assert "7.250 [7.000, 7.500]" in page.text
    figure = re.search(r'<figure id="score-fid">.*?</svg>', page.source, flags=re.S)[0]
    assert 'class="band' in figure


def test_an_autoencoder(small_data, tmp_path):
    run("train", "fashion-vae", "--data", small_data, "--out", tmp_path / "vae", "--threads", "2", "--set",
        "train.images=32", "--set", "train.batch=8", "--set", "train.microbatch=8", "--set", "train.log_images=8",
        "--set", "data.size=16", "--set", "train.snapshot_images=0", "--set", "sample.pictures=4")
    report(tmp_path / "vae", "-o", tmp_path / "page.html")
    page = check_page(tmp_path / "page.html")
    assert "No trajectories:" in page.text
    assert "MAC" in page.text and "of the network" in page.text, "the preset says how large its pictures are"


def test_a_latent_run_is_traced_through_its_autoencoder(small_data, tmp_path):
    (tmp_path / "vae.toml").write_text(
        "[model]\nmodel = 'vae'\nchannels = [4, 8]\nblocks = 1\nnorm_groups = 2\nlatent_channels = 2\n"
        "[train]\nimages = 32\nbatch = 8\ndtype = 'f32'\n[ema]\npower = []\n")
    run("train", tmp_path / "vae.toml", "--data", small_data, "--out", tmp_path / "vae", "--threads", "1")
    vae = tmp_path / "vae/snapshot-000000032-ema.safetensors"
    run("data", "encode", small_data, tmp_path / "latents", "--vae", vae)
    run("train", "latent-smoke", "--data", tmp_path / "latents", "--out", tmp_path / "run", "--threads", "1", "--set",
        "train.batch=8", "--set", "train.images=32", "--set", "train.dtype=f32", "--set", f"sample.vae={vae}", "--set",
        "sample.guidance=1.5")
    report(tmp_path / "run", "-o", tmp_path / "page.html")
    page = check_page(tmp_path / "page.html")
    assert "guidance 1.5" in page.text
    shown = [image for image in page.all("img") if "expected at" in image["alt"]]
    assert len(shown) == 4 * 4, "four classes at the four noise levels of four steps"
    assert "Nearest training images in latents" in page.text and "scaled latents, root mean square" in page.text
    near = [image["alt"] for image in page.all("img") if image["alt"].startswith("training image")]
    assert len(near) == 4 * 4, "four of each of four samples"
    assert len(set(near)) > 4
    vae.unlink()
    report(tmp_path / "run", "-o", tmp_path / "page.html")
    assert "No trajectories:" in check_page(tmp_path / "page.html").text


def test_requests_that_are_wrong(runs, tmp_path):
    refused("report", tmp_path / "nowhere", "-o", tmp_path / "x.html", mentions=["nowhere", "run folder"])
    (tmp_path / "empty").mkdir()
    refused("report", tmp_path / "empty", "-o", tmp_path / "x.html", mentions=["empty", "stats.jsonl"])
    refused("report", runs / "first", "-o", tmp_path / "x.pdf", mentions=["x.pdf", ".html"])
    refused("report", runs / "first", "-o", tmp_path / "no/folder/x.html", mentions=["no/folder"])
    refused("report", runs / "first", mentions=["--out"])
    refused("report", "-o", tmp_path / "x.html", mentions=["runs"])
    (tmp_path / "file").write_text("")
    refused("report", runs / "first", "-o", tmp_path / "x.html", "--plots", tmp_path / "file", mentions=["--plots"])
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow/stats.jsonl").write_text("")
    refused("report", tmp_path / "hollow", "-o", tmp_path / "x.html", mentions=["hollow"])
    assert not list(tmp_path.glob("*.html")) and not list(tmp_path.glob(".*"))


def test_an_interrupted_report_leaves_an_older_page_alone(runs, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("older")
    (tmp_path / "blocked").write_text("")
    refused("report", runs / "first", "-o", page, "--no-samples", "--plots", tmp_path / "blocked/deeper",
            mentions=["blocked"])
    assert page.read_text() == "older"

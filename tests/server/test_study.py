"""diffit study from outside: plan, links, answers that survive a kill, analysis; the page of a rater in Chromium."""

import csv
import io
import json
import re
import signal
import subprocess

import browser as browser_module
import numpy as np
import pytest
import test_pages
from conftest import BINARY, PATIENCE, Studio, heed_signals
from PIL import Image

LEFT, RIGHT = "\ue012", "\ue014"


def diffit(*words, code=0):
    done = subprocess.run([BINARY, "study", *map(str, words)], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


def make_sets(folder):
    """Two sets that differ: one is dark, the other light."""
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 128)):
        (folder / name).mkdir(parents=True)
        for i in range(8):
            Image.fromarray(rng.integers(low, low + 120, (16, 16), np.uint8)).save(folder / name / f"{i}.png")
    return [f"--set={name}={folder / name}" for name in ("dark", "light")]


def new_study(tmp_path, *options, name="study"):
    if not (tmp_path / "sets").exists():
        make_sets(tmp_path / "sets")
    diffit("new", tmp_path / name, *[f"--set={n}={tmp_path / 'sets' / n}" for n in ("dark", "light")], *options)
    return tmp_path / name


class Booth(Studio):
    """A running `diffit study serve`."""

    def __init__(self, folder, *options):
        self.process = subprocess.Popen([BINARY, "study", "serve", folder, "--port", "0", "--json", *options], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_signals)
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        found = json.loads(line)
        self.address, self.links, self.token = found["address"], found["links"], ""
        self.host, self.port = "127.0.0.1", int(re.search(r":(\d+)/", self.address)[1])

    def rater(self, number):
        return "/api/v1/study/" + self.links[number].split("#")[1]

    def light(self, path):
        return np.asarray(Image.open(io.BytesIO(self.ask("GET", path).body))).mean() > 120

    def answer_all(self, number, most=10**9):
        """A rater who prefers light images, and images to noise."""
        state = self.get(self.rater(number))
        while state["trial"] and most > 0:
            trial = state["trial"]
            side = "left" if self.light(trial["left"]) else "right"
            state = self.post(self.rater(number) + "/answers", {"trial": trial["number"], "side": side, "seconds": 1.5})
            most -= 1
        return state


@pytest.fixture
def booth():
    started = []

    def begin(folder, *options):
        started.append(Booth(folder, *options))
        return started[-1]

    yield begin
    for server in started:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


def test_a_study_from_plan_to_result(tmp_path, booth):
    folder = new_study(tmp_path, "--raters", 3, "--trials", 12, "--repeats", 3, "--catches", 0, "--seed", 4)
    plan = json.loads((folder / "study.json").read_text())
    assert plan["stopping_rule"].startswith("3 raters answer 15 trials each") and len(set(plan["links"])) == 3
    server = booth(folder)
    assert server.get(server.rater(0))["total"] == 15
    assert server.answer_all(0)["done"] == 15
    assert server.answer_all(1, most=5)["done"] == 5
    # Killed in the middle: every answer is there, and the links stay.
    server.stop(signal.SIGKILL)
    again = booth(folder)
    assert [link.split("#")[1] for link in again.links] == [link.split("#")[1] for link in server.links]
    assert again.get(again.rater(1))["done"] == 5
    assert not json.loads(diffit("analyse", folder, "--json"))["complete"]
    for number in (1, 2):
        assert again.answer_all(number)["trial"] is None
    assert again.stop() == 0
    found = json.loads(diffit("analyse", folder, "--json", "--score", "dark=3", "--score", "light=9", "-o", tmp_path / "page.html"))
    assert found["complete"] and found["raters_counted"] == 3
    (pair,) = found["pairs"]
    assert (pair["first"], pair["second"], pair["count"], pair["of"]) == ("dark", "light", 0, 36) and 0.05 < pair["high"] < 0.15
    strengths = {s["set"]: s for s in found["strengths"]}
    assert strengths["light"]["low"] > 0 > strengths["dark"]["high"]
    assert found["repeats"]["count"] == found["repeats"]["of"] == 9
    assert found["agreement"] == [{"first": "dark", "second": "light", "agrees": False, "decided": True}]
    page = (tmp_path / "page.html").read_text()
    assert "disagree" in page and "light" in page and "<script src" not in page
    diffit("analyse", folder, "-o", tmp_path / "answers.csv")
    rows = list(csv.DictReader((tmp_path / "answers.csv").open()))
    assert len(rows) == 45 and {row["kind"] for row in rows} == {"pair", "repeat"}
    for row in rows:
        assert row[f"{row['chosen']}_set"] == "light" and row["seconds"] == "1.500"
    assert "light" in diffit("analyse", folder)


def test_simulated_raters_are_analysed_as_people_are(tmp_path):
    folder = new_study(tmp_path, "--raters", 20, "--trials", 60)
    diffit("simulate", folder, "--strength", "dark=0.5", "--strength", "light=-0.5", "--lapse", "0", "--seed", 3)
    found = json.loads(diffit("analyse", folder, "--json"))
    assert found["complete"] and found["raters_counted"] == 20 and found["catches"]["share"] == 1
    (pair,) = found["pairs"]
    assert pair["low"] < 1 / (1 + np.exp(-1)) < pair["high"] and pair["of"] == 1200
    for strength, truth in zip(found["strengths"], (0.5, -0.5)):
        assert strength["low"] < truth < strength["high"]
    assert "has answers already" in diffit("simulate", folder, code=2)


def test_what_raters_cannot_do(tmp_path, booth):
    folder = new_study(tmp_path, "--raters", 2, "--trials", 4, "--repeats", 0, "--catches", 2)
    server = booth(folder)
    one, two = server.rater(0), server.rater(1)
    trial = server.get(one)["trial"]
    assert "dark" not in json.dumps(server.get(one)) and "png" not in json.dumps(trial).replace("image/png", "")
    image = server.ask("GET", trial["left"])
    assert image.headers["content-type"] == "image/png" and image.headers["cache-control"] == "no-store"
    for path in (trial["left"].replace("/0/", "/1/"), trial["left"].replace("left", "up"), trial["left"].replace("/0/", "/-1/"), trial["left"].replace("/0/", "/x/"),
                 "/api/v1/study/0", "/api/v1/study/" + "0" * 32, "/api/v1/study/..%2f..", "/study.json", "/answers.sqlite", "/images/dark/000000.png", "/app.js", "/api/v1/jobs"):
        assert server.ask("GET", path).status == 404, path
    assert server.ask("GET", two.replace(two[-1], "0" if two[-1] != "0" else "1") + "/trials/0/left").status == 404
    for body, field in (({}, "trial"), ({"trial": 0}, "side"), ({"trial": 0, "side": "up"}, "side"), ({"trial": 99, "side": "left"}, "trial"),
                        ({"trial": 0, "side": "left", "seconds": -1}, "seconds"), ({"trial": 0, "side": "left", "x": 1}, "x")):
        assert server.post(one + "/answers", body, 400)["field"] == field
    # An answer stays as it is: a second one to the same trial, or one ahead, changes nothing.
    first = server.post(one + "/answers", {"trial": 0, "side": "left"})
    assert first["done"] == 1
    assert server.post(one + "/answers", {"trial": 0, "side": "right"}) == first
    assert server.post(one + "/answers", {"trial": 3, "side": "right"}) == first
    assert server.get(two)["done"] == 0
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        assert server.ask("POST", one + "/answers", {"trial": 1, "side": "left"}, headers).status == 403
    assert server.ask("POST", one + "/answers", b"x" * (1 << 16), {"Content-Type": "application/json"}).status == 413
    # Another process cannot take answers, and the plan is fixed.
    assert "another process" in diffit("serve", folder, "--port", "0", code=2)
    server.stop()
    plan = folder / "study.json"
    plan.write_text(plan.read_text().replace('"catch_needed": 0.8', '"catch_needed": 0.1'))
    for command in ("analyse", "simulate"):
        assert "was changed after the study began" in diffit(command, folder, code=2)


@pytest.mark.parametrize(("options", "words"), [
    (["--set=a=sets/dark"], "at least two"), (["--set=a=sets/dark", "--set=sets/light"], "NAME=PATH"),
    (["--set=a=sets/dark", "--set=a=sets/light"], "two sets are named a"), (["--set=../a=sets/dark", "--set=b=sets/light"], "letters"),
    (["--set=a=sets/dark", "--set=b=nothing"], "nothing"), (["--set=a=sets/dark", "--set=b=other"], "16 x 16"),
    (["--set=a=sets/dark", "--set=b=sets/light", "--raters=0"], "--raters"), (["--set=a=sets/dark", "--set=b=sets/light", "--repeats=99"], "--repeats"),
    (["--set=a=sets/dark", "--set=b=sets/light", "--catch-needed=2"], "--catch-needed"), (["--set=a=sets/dark", "--set=b=sets/light", "--question= "], "--question")])
def test_wrong_plans_are_refused(tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    make_sets(tmp_path / "sets")
    (tmp_path / "other").mkdir()
    Image.new("L", (20, 20)).save(tmp_path / "other/0.png")
    assert words in diffit("new", "study", *options, code=2)
    assert not (tmp_path / "study/study.json").exists()


def test_folders_that_are_no_study(tmp_path):
    folder = new_study(tmp_path)
    assert "not empty" in diffit("new", folder, f"--set=a={tmp_path / 'sets/dark'}", f"--set=b={tmp_path / 'sets/light'}", code=2)
    for command in ("analyse", "serve", "simulate"):
        assert "study.json" in diffit(command, tmp_path / "sets", code=2)
    assert "has no set 'x'" in diffit("analyse", folder, "--score", "x=1", code=2)
    assert ".html" in diffit("analyse", folder, "-o", tmp_path / "x.txt", code=2)


@pytest.mark.skipif(bool(browser_module.missing()), reason=browser_module.missing())
def test_the_page_of_a_rater(tmp_path, booth):
    server = booth(new_study(tmp_path, "--raters", 2, "--trials", 3, "--repeats", 0, "--catches", 1, "--question", "Which is <b>lighter</b>?"))
    browser = browser_module.Browser()
    try:
        ready = "return document.querySelectorAll('.choice:enabled').length === 2 && document.querySelector('.note').textContent"
        for width, dark in ((1280, False), (390, True), (390, False), (1280, True)):
            browser.look(width, 844, dark=dark, touch=width < 600)
            browser.open("about:blank")
            browser.open(server.links[0])
            assert browser.wait(ready) == "Question 1 of 4"
            assert browser.run("return document.querySelector('h1').textContent") == "Which is <b>lighter</b>?"
            test_pages.shot(browser, f"study-{width}-{'dark' if dark else 'light'}")
            assert browser.run(test_pages.AUDIT) == [], (width, dark)
        browser.press(RIGHT)
        browser.wait(ready + " === 'Question 2 of 4'")
        browser.click(".choice")
        browser.wait(ready + " === 'Question 3 of 4'")
        # Opened again, it goes on where it was.
        browser.open("about:blank")
        browser.open(server.links[0])
        browser.wait(ready + " === 'Question 3 of 4'")
        for left in ("Question 4 of 4", None):
            browser.press(LEFT)
            browser.wait(ready + f" === '{left}'" if left else "return document.querySelector('h1').textContent === 'Thank you'")
        test_pages.shot(browser, "study-end")
        assert server.get(server.rater(0))["done"] == 4
        browser.open("about:blank")
        browser.open(server.address + "#nonsense")
        browser.wait("return document.querySelector('.bad')?.textContent.includes('belongs to no rater')")
        assert [message for message in browser.complaints() if "404" not in message] == []
    finally:
        browser.close()

"""The pages in headless Chromium, used as people use them. DIFFIT_SCREENSHOTS=DIR keeps an image of each."""

import base64
import io
import json
import os
import pathlib
import sys
import time
import xml.etree.ElementTree
import zipfile

import browser as browser_module
import pytest
from conftest import ROOT
from PIL import Image

sys.path.append(str(ROOT / "tests/cli"))
import formats  # noqa: E402
import test_runs  # noqa: E402
pytestmark = pytest.mark.skipif(bool(browser_module.missing()), reason=browser_module.missing())

TAB, ENTER, SPACE, RIGHT = "\ue004", "\ue007", " ", "\ue014"
TILES = "return document.querySelectorAll('.tile img').length === arguments[0] && [...document.querySelectorAll('.tile img')].every(i => i.complete && i.naturalWidth)"


@pytest.fixture(scope="module")
def chromium():
    browser = browser_module.Browser()
    yield browser
    browser.close()


@pytest.fixture
def page(chromium, studio):
    """Opens a page of the studio; at the end nothing may have gone wrong in it."""
    chromium.complaints()

    def visit(name="sample", width=1280, height=900, **look):
        chromium.look(width, height, **look)
        chromium.open("about:blank")
        chromium.open(f"{studio.address}#/{name}")
        chromium.wait("return document.querySelector('nav [aria-current]') && document.querySelector('h1')")
        return chromium

    yield visit
    assert chromium.complaints() == []


def shot(browser, name):
    if folder := os.environ.get("DIFFIT_SCREENSHOTS"):
        pathlib.Path(folder).mkdir(exist_ok=True)
        browser.screenshot(pathlib.Path(folder) / f"{name}.png")


def say(browser):
    return browser.run("return document.getElementById('status').textContent")


def quick(browser, seeds="0-3", steps="4"):
    browser.write("input[name=seeds]", seeds)
    browser.write("input[name=steps]", steps)


def test_sample_and_restore(page, studio, tmp_path):
    browser = page()
    shot(browser, "sample-empty")
    quick(browser, "40-49", "6")
    browser.button("Sample")
    browser.wait(TILES, 10)
    assert "10 images" in say(browser)
    shot(browser, "sample-done")
    newest = studio.get("/api/v1/images?limit=10")["images"]
    assert [i["seed"] for i in newest] == list(range(49, 39, -1)) and newest[0]["settings"]["steps"] == 6
    browser.click(".tile")
    browser.wait("return document.querySelector('dialog[open]')")
    shot(browser, "sample-detail")
    browser.write("dialog input", "liked, <b>bold</b>")
    browser.button("Save")
    browser.wait("return document.getElementById('status').textContent === 'Tags saved.'")
    assert studio.get(f"/api/v1/images/{newest[-1]['id']}")["tags"] == ["<b>bold</b>", "liked"]
    # A PNG that is given to the page restores what made it.
    settings = {"model": "fashion-latent", "seeds": [77], "classes": [6], "sampler": "ddim", "steps": 5, "eta": 0.5, "guidance": 2}
    (image,) = studio.sample(**settings)
    path = tmp_path / "kept.png"
    path.write_bytes(studio.ask("GET", image["url"]).body)
    browser.button("Restore settings")
    browser.wait("return document.querySelector('input[name=seeds]')?.value === '40'")
    browser.give_file("input[type=file]", path)
    browser.wait("return document.querySelector('input[name=seeds]').value === '77'")
    form = browser.run("const d = new FormData(document.querySelector('form')); return Object.fromEntries([...d.keys()].map(k => [k, d.get(k)]))")
    assert (form["model"], form["sampler"], form["steps"], form["eta"], form["guidance"]) == ("fashion-latent", "ddim", "5", "0.5", "2")
    browser.button("Sample")
    browser.wait(TILES, 1)
    again = studio.get("/api/v1/images?limit=1")["images"][0]
    assert again["settings"] == image["settings"]
    assert studio.ask("GET", again["url"]).body == path.read_bytes()
    # What is no image of ours is refused in words.
    other = tmp_path / "notes.png"
    other.write_text("no image")
    browser.give_file("input[type=file]", other)
    browser.wait("return document.getElementById('status').textContent.includes('is not a PNG')")


def test_compare(page, studio):
    browser = page()
    quick(browser, "1-3", "3")
    browser.click("input[value=ab]")
    shot(browser, "compare-form")
    browser.run("document.querySelectorAll('input[name=guidance]')[1].value = 3")
    browser.button("Sample")
    browser.wait("return document.querySelectorAll('table.compare canvas').length === 3")
    head = browser.run("return [...document.querySelectorAll('table.compare thead th')].map(t => t.firstChild.textContent)")
    assert head == ["A", "B", "Difference"]
    shot(browser, "compare-ab")
    jobs = studio.get("/api/v1/jobs?limit=2")["jobs"]
    assert [job["spec"].get("guidance") for job in jobs] == [3, None] and jobs[0]["spec"]["seeds"] == jobs[1]["spec"]["seeds"] == [1, 2, 3]
    browser.click("input[value=vary]")
    browser.write("input[name=values]", "2, 4, 8")
    browser.button("Sample")
    browser.wait("return document.querySelectorAll('table.compare td img').length === 9")
    shot(browser, "compare-vary")
    assert [job["spec"]["steps"] for job in studio.get("/api/v1/jobs?limit=3")["jobs"]] == [8, 4, 2]


def test_wrong_values_are_shown_at_their_field(page, studio):
    browser = page()
    quick(browser, "0", "1")
    browser.button("Sample")
    browser.wait("return document.querySelector('[aria-invalid=true]')?.name === 'steps'")
    assert "heun takes 2 to" in say(browser)
    assert browser.run("return document.activeElement.name") == "steps"
    shot(browser, "sample-wrong")
    assert [message for message in browser.complaints() if "400" not in message] == []


def test_cancel_with_a_preview(page, studio):
    browser = page()
    quick(browser, "0-31", "600")
    browser.button("Sample")
    browser.wait("return document.querySelector('.preview:not([hidden])')?.naturalWidth > 0 && document.querySelector('progress').value > 0")
    shot(browser, "sample-running")
    browser.button("Cancel")
    browser.wait("return document.getElementById('status').textContent === 'Cancelled.'")
    assert studio.get("/api/v1/jobs?limit=1")["jobs"][0]["state"] == "cancelled"


def test_denoise_and_branch(page, studio):
    browser = page("denoise")
    browser.write("input[name=seeds]", "5")
    browser.write("input[name=steps]", "9")
    browser.button("Denoise")
    browser.wait("return document.querySelectorAll('.frames img').length === 3")
    assert browser.run("return document.querySelector('output').textContent") == "step 1 of 9, noise level 80.0"
    browser.run("document.querySelector('input[type=range]').focus()")
    browser.press(*[RIGHT] * 4)
    browser.wait("return document.querySelector('output').textContent.startsWith('step 5 of 9')")
    browser.wait("return [...document.querySelectorAll('.frames img')].every(i => i.complete && i.naturalWidth === 32)")
    shot(browser, "denoise")
    browser.button("Branch here…")
    browser.wait("return document.querySelector('input[name=steps]').value === '5'")
    browser.run("const s = document.querySelector('select[name=classes]'); s.value = '8'")
    browser.button("Denoise")
    browser.wait("return document.querySelectorAll('.frames').length === 2")
    shot(browser, "denoise-branch")
    job = studio.get("/api/v1/jobs?limit=1")["jobs"][0]
    assert job["spec"]["branch"]["step"] == 4 and job["spec"]["classes"] == [8] and job["state"] == "done"


def test_gallery(page, studio):
    (image,) = studio.sample(seeds=[901], classes=["Bag"])
    studio.ask("PUT", f"/api/v1/images/{image['id']}/tags", {"tags": ["keep <i>this</i>"]})
    studio.sample(seeds="902-903")
    browser = page("gallery")
    browser.wait("return document.querySelectorAll('.tile').length >= 3")
    shot(browser, "gallery")
    browser.run("const s = document.querySelector('select'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))", "keep <i>this</i>")
    browser.wait("return document.querySelectorAll('.tile').length === 1")
    assert browser.run("return document.querySelector('main i')") is None
    browser.click(".tile")
    browser.button("See its denoising")
    browser.wait("return location.hash.startsWith('#/denoise') && document.querySelectorAll('.frames img').length === 3")
    assert browser.run("return document.querySelector('input[name=seeds]').value") == "901"


def test_attention_of_an_image_of_the_gallery(page, studio):
    (image,) = studio.sample(model="fashion-latent", seeds=[77], classes=[7], steps=5)
    browser = page("gallery")
    browser.wait("return document.querySelector('.tile')")
    browser.click(".tile")
    browser.button("See its attention")
    browser.wait("return location.hash.startsWith('#/attention') && document.querySelectorAll('table.heads tbody tr').length === 6")
    form = browser.run("const d = new FormData(document.querySelector('form')); return ['model', 'seed', 'class'].map(k => d.get(k))")
    assert form == ["fashion-latent", "77", "7"] and image["settings"]["model"] == "fashion-latent"
    # Through the autoencoder and back, it is nearly the image.
    shown = browser.wait("const i = document.querySelector('.stack img'); return i?.complete && i.src")
    pixels = [list(Image.open(io.BytesIO(data)).convert("L").getdata())
              for data in (base64.b64decode(shown.split(",")[1]), studio.ask("GET", image["url"]).body)]
    assert sum(abs(a - b) for a, b in zip(*pixels)) / len(pixels[0]) < 20


def test_by_keyboard_alone(page, studio):
    browser = page()
    browser.run("for (const [name, value] of [['seeds', '950'], ['steps', '3']]) document.querySelector(`input[name=${name}]`).value = value")
    browser.press(TAB)
    assert browser.run("return document.activeElement.className") == "skip"
    order = []
    for _ in range(60):
        browser.press(TAB)
        text = browser.run("const e = document.activeElement; return e.name || e.textContent.trim()")
        order.append(text)
        visible = browser.run("const s = getComputedStyle(document.activeElement); return s.outlineStyle")
        assert visible != "none" or text == "", (text, order)
        if text == "Sample" and browser.run("return document.activeElement.tagName") == "BUTTON":
            break
    assert {"seeds", "model", "sampler", "steps", "guidance", "compare"} <= set(order), order
    browser.press(ENTER)
    browser.wait(TILES, 1)
    browser.run("document.querySelector('.tile').focus()")
    browser.press(ENTER)
    browser.wait("return document.querySelector('dialog[open]')?.contains(document.activeElement)")
    browser.press("\ue00c")
    browser.wait("return !document.querySelector('dialog')")


# What every page must have for those who do not see it, and for small windows.
AUDIT = """
const problems = [];
const name = (e) => e.getAttribute('aria-label') || e.textContent.trim() || e.alt || (e.labels && e.labels[0]?.textContent.trim()) || '';
for (const e of document.querySelectorAll('button, a, input, select, summary, [role=button]')) {
  if (e.offsetParent && !name(e)) problems.push('no name: ' + e.outerHTML.slice(0, 100));
}
for (const e of document.querySelectorAll('img, canvas[role=img]')) if (!e.hasAttribute('alt') && !e.hasAttribute('aria-label')) problems.push('no alt: ' + e.src);
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) problems.push('twice: #' + id);
if (!document.documentElement.lang) problems.push('no language');
if (document.querySelectorAll('h1').length !== 1) problems.push('h1: ' + document.querySelectorAll('h1').length);
if (document.documentElement.scrollWidth > innerWidth) problems.push('wider than the window: ' + document.documentElement.scrollWidth);
for (const e of document.querySelectorAll('nav a')) if (e.getBoundingClientRect().right > innerWidth) problems.push('beside the window: ' + e.textContent);
const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)|transparent/.test(c)) return c; } return 'rgb(255,255,255)'; };
for (const e of document.querySelectorAll('p, label, span, a, button, h1, h2, legend, summary, th, dt, dd, option, figcaption, output')) {
  if (!e.offsetParent || !e.textContent.trim() || e.disabled) continue;
  const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
  if ((a + .05) / (b + .05) < 4.5) problems.push('contrast ' + ((a + .05) / (b + .05)).toFixed(2) + ': ' + e.textContent.trim().slice(0, 40));
}
for (const e of document.querySelectorAll('button, nav a, select, input[type=text]')) {
  const r = e.getBoundingClientRect();
  if (e.offsetParent && (r.height < 24 || r.width < 24)) problems.push('small: ' + e.outerHTML.slice(0, 80));
}
return problems;
"""


@pytest.mark.parametrize("name", ["sample", "denoise", "gallery"])
def test_every_page_for_everybody(page, studio, name):
    studio.sample(seeds="60-65", classes="all")
    for width, height in ((1280, 900), (390, 844)):
        for dark in (False, True):
            browser = page(name, width, height, dark=dark, touch=width < 600)
            if name == "gallery":
                browser.wait("return document.querySelectorAll('.tile').length > 5")
            shot(browser, f"{name}-{width}-{'dark' if dark else 'light'}")
            assert browser.run(AUDIT) == [], (name, width, dark)


def test_first_paint_is_quick(page):
    browser = page()
    paint = browser.wait("return performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    assert paint < 1000
    requests = browser.run("return performance.getEntriesByType('resource').map(r => r.name)")
    assert requests and all(r.startswith(browser.run("return location.origin")) for r in requests)


def test_names_with_html_stay_text(chromium, start, tmp_path):
    """Class names come from files that others make."""
    tensors, metadata = formats.read_safetensors(ROOT / "models/fashion-mnist.safetensors")
    names = ["<img src=x onerror=\"document.title='owned'\">", "</script><script>document.title='owned'</script>", *map(str, range(8))]
    path = tmp_path / "nasty.safetensors"
    formats.write_safetensors(path, tensors, {**metadata, "diffit.class_names": json.dumps([f"n{n}" if n.isdigit() else n for n in names])})
    studio = start("-m", path)
    chromium.look(1280, 900)
    chromium.open(studio.address)
    chromium.wait("return document.querySelector('h1')")
    quick(chromium, "0-1", "2")
    chromium.button("Sample")
    chromium.wait(TILES, 2)
    assert "onerror" in chromium.run("return document.querySelector('.tile').textContent")
    chromium.click(".tile")
    chromium.wait("return document.querySelector('dialog[open]')")
    assert chromium.run("return document.title").startswith("Sample")
    assert chromium.run("return document.querySelectorAll('main img[src=x], dialog img[src=x]').length") == 0


def test_token_in_the_address_opens_the_session(chromium, start):
    studio = start("--token", "abc")
    chromium.look(1280, 900)
    chromium.open(studio.address)
    chromium.wait("return document.querySelector('h1')?.textContent === 'Sample'")
    assert "abc" not in chromium.run("return location.href")
    chromium.call("DELETE", "/cookie")
    chromium.open(studio.address.split("#")[0] + "#/gallery")
    chromium.run("location.reload()")
    chromium.wait("return document.querySelector('dialog[open] input')")
    shot(chromium, "token")
    chromium.write("dialog input", "abc")
    chromium.button("Continue")
    chromium.wait("return document.querySelector('h1')?.textContent === 'Gallery'")


def test_first_visit_says_what_to_do(chromium, start):
    studio = start()
    chromium.look(1280, 900)
    chromium.open(studio.address + "#/gallery")
    chromium.wait("return document.querySelector('.empty')?.textContent.startsWith('Nothing was made yet')")
    shot(chromium, "gallery-empty")



def test_training_page(chromium, start, tmp_path):
    for name, scale in (("alpha", 1), ("beta <i>", 2)):
        test_runs.write_run(tmp_path / "runs" / name, "".join(test_runs.line(100 * i, scale / i) for i in range(1, 51)), grids=(1000, 5000))
    studio = start(runs=tmp_path / "runs")
    chromium.complaints()
    for width, dark in ((1280, False), (390, True)):
        chromium.look(width, 900, dark=dark, touch=width < 600)
        chromium.open("about:blank")
        chromium.open(studio.address + "#/train")
        chromium.wait("return document.querySelectorAll('.runs input').length === 2 && document.querySelector('svg.plot polyline')")
        chromium.run("for (const box of document.querySelectorAll('.runs input')) if (!box.checked) box.click()")
        chromium.wait("return document.querySelectorAll('svg.plot polyline').length === 2 && document.querySelectorAll('.grids img').length === 2")
        assert chromium.run("return document.querySelector('output').textContent") == "after 5,000 images"
        chromium.run("document.querySelector('input[type=range]').focus()")
        chromium.press("\ue012")
        chromium.wait("return document.querySelector('output').textContent === 'after 1,000 images'")
        assert chromium.run("return document.querySelector('main i')") is None
        shot(chromium, f"train-{width}")
        assert chromium.run(AUDIT) == []
    with (tmp_path / "runs/alpha/stats.jsonl").open("a") as log:
        log.write(test_runs.line(5100, 0.5))
    chromium.wait("return document.querySelector('.runs').textContent.includes('5,100')")
    assert chromium.complaints() == []


# --- attention ---

HEADS = "return document.querySelectorAll('table.heads tbody tr').length === arguments[0] && [...document.querySelectorAll('.stack img')].every(i => i.complete && i.naturalWidth)"


def test_attention_page(page, studio, tmp_path):
    browser = page("attention")
    browser.wait(HEADS, 5)
    shot(browser, "attention")
    told = "return document.querySelector('.stack').getAttribute('aria-label')"
    assert "row 17, column 17 of 32 by 32 tokens of encoder.0.blocks.0" in browser.run(told)
    # The slider says the noise level that is shown.
    shown = "return [...document.querySelectorAll('h3')].find(e => e.textContent.startsWith('Heads of')).textContent.split(' ').at(-1)"
    assert browser.run("return document.querySelector('input[name=sigma]').getAttribute('aria-valuetext')") == "0.894"
    assert browser.run(shown) == "0.8944"
    browser.run("document.querySelector('input[name=sigma]').focus()")
    browser.press(RIGHT)
    browser.wait(shown + " === '0.9785'")
    browser.press("\ue012")
    browser.wait(shown + " === '0.8944'")
    # A click on the image chooses the pixel; arrow keys move it.
    browser.run("const s = document.querySelector('.stack'), r = s.getBoundingClientRect();"
                "s.dispatchEvent(new MouseEvent('click', {clientX: r.left + r.width * 10.5 / 32, clientY: r.top + r.height * 20.5 / 32, bubbles: true}))")
    browser.wait(told + ".includes('row 21, column 11 ')")
    browser.run("document.querySelector('.stack').focus()")
    browser.press(RIGHT)
    browser.wait(told + ".includes('row 21, column 12 ') && document.activeElement.className === 'stack'")
    # What it shows is what the interface says.
    ask = {"model": "fashion-mnist", "seed": 0, "class": 0, "sigma": 0.01 * 8000 ** 0.5, "pixel": [20.5 / 32, 11.5 / 32]}
    (pixel,) = [p for p in studio.post("/api/v1/attention", ask)["pixels"] if p["layer"] == "encoder.2.blocks.0"]
    largest = max(max(pixel["attention"][1]), 0)
    assert browser.run("return document.querySelector('table.heads tbody tr:nth-child(3) td:nth-child(3) button').getAttribute('aria-label')") == \
        f"encoder.2.blocks.0, head 2: at most {100 * largest:.1f} % on one token"
    # Another layer and head, with the keyboard too.
    browser.click("table.heads tbody tr:nth-child(3) td:nth-child(3) button")
    browser.wait("return document.querySelector('select[name=layer]').value === 'encoder.2.blocks.0' && document.querySelectorAll('.biases canvas').length === 4")
    browser.run("document.querySelector('button.cell[aria-pressed=true]').focus()")
    browser.press(RIGHT)
    browser.wait("return document.activeElement.matches('button.cell[aria-pressed=true]') && document.querySelector('.stack + figcaption').textContent.includes('head 3')")
    shot(browser, "attention-layer")
    below = "const b = document.querySelector('.biases'), y = (e) => e.getBoundingClientRect(); return [...b.querySelectorAll('figcaption')].every(c => y(c).top >= y(c.previousSibling).bottom && y(c).bottom <= y(b.querySelector('p')).top + 1)"
    assert browser.run(below)
    browser.button("Measure")
    browser.wait("return document.querySelectorAll('svg.plot polyline.line').length === 4")
    browser.run("const s = document.querySelector('select[aria-label=Curve]'); s.value = 'entropy'; s.dispatchEvent(new Event('change'))")
    browser.wait("return document.querySelector('svg.plot').getAttribute('aria-label').startsWith('entropy') && document.querySelectorAll('.legend li').length === 4")
    # What if: head 3 of the layer is switched off.
    browser.click("input[name=head][value='2']")
    browser.button("Compare")
    browser.wait("return document.querySelectorAll('.changes img').length === 4 && document.querySelectorAll('.difference').length === 2")
    wanted = studio.post("/api/v1/attention/counterfactual", {**ask, "change": {"layer": "encoder.2.blocks.0", "heads_off": [2]}})["difference"]
    assert browser.run("return document.querySelector('.difference').textContent") == f"expected image: differs by {100 * wanted:.2f} % of its norm."
    browser.run("document.querySelector('section[aria-label=\"What if\"]').scrollIntoView()")
    shot(browser, "attention-what-if")


def test_attention_of_two_models_and_of_an_image(page, studio, tmp_path):
    browser = page("attention", width=1500)
    browser.wait(HEADS, 5)
    browser.run("const s = document.querySelector('select[name=against]'); s.value = 'fashion-latent'; s.dispatchEvent(new Event('change'))")
    browser.wait(HEADS, 11)
    assert browser.run("return [...document.querySelectorAll('.attention h2')].map(e => e.textContent)") == ["fashion-mnist", "fashion-latent"]
    shot(browser, "attention-two")
    browser.run("const s = document.querySelector('select[name=against]'); s.value = ''; s.dispatchEvent(new Event('change'))")
    browser.wait(HEADS, 5)
    path = tmp_path / "grey.png"
    Image.new("RGB", (50, 40), (90, 90, 90)).save(path)
    browser.give_file("input[type=file]", path)
    browser.wait("return [...document.querySelectorAll('button')].some(b => b.textContent.startsWith('Use the model') && b.offsetParent)")
    browser.wait("return [...document.querySelector('select[name=class]').options].some(o => o.textContent === 'no class')")
    image = browser.wait("const i = document.querySelector('.stack img'); return i.complete && i.src")
    assert Image.open(io.BytesIO(base64.b64decode(image.split(",")[1]))).getcolors() == [(32 * 32, 90)]
    # Wrong files are refused in words.
    other = tmp_path / "notes.png"
    other.write_text("no image")
    browser.give_file("input[type=file]", other)
    browser.wait("return document.getElementById('status').textContent.includes('image')")
    assert [message for message in browser.complaints() if "400" not in message] == []


def test_attention_exports(page, studio, tmp_path):
    browser = page("attention")
    browser.wait(HEADS, 5)
    browser.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.button("Maps as SVG")
    browser.button("Layer as npz")
    end = time.monotonic() + 30
    while not {"attention.svg", "attention.npz"} <= {f.name for f in tmp_path.iterdir()}:
        assert time.monotonic() < end, list(tmp_path.iterdir())
        time.sleep(0.05)
    root = xml.etree.ElementTree.parse(tmp_path / "attention.svg").getroot()
    assert len(root.findall("{http://www.w3.org/2000/svg}g")) == 2 + 4 + 4 + 4 + 2
    assert zipfile.ZipFile(tmp_path / "attention.npz").testzip() is None


def test_snapshots_as_a_time_axis(chromium, start, tmp_path):
    test_runs.write_run(tmp_path / "runs/mine", "")
    for images in (1000, 2000):
        (tmp_path / f"runs/mine/snapshot-00000{images}-ema.safetensors").symlink_to(ROOT / "models/fashion-mnist.safetensors")
    studio = start(runs=tmp_path / "runs")
    chromium.complaints()
    chromium.look(1280, 900)
    chromium.open(studio.address + "#/attention")
    chromium.wait(HEADS, 5)
    chromium.run("const s = document.querySelector('select[name=model]'); s.value = 'series:mine, ema'; s.dispatchEvent(new Event('change'))")
    chromium.wait("return document.querySelector('.attention h2').textContent === 'mine, ema, after 2,000 images'")
    chromium.run("document.querySelector('input[type=range]').focus()")
    chromium.press("\ue012")
    chromium.wait("return document.querySelector('.attention h2').textContent === 'mine, ema, after 1,000 images'")
    assert chromium.complaints() == []


def test_attention_for_everybody(page):
    for width, height in ((1280, 900), (390, 844)):
        for dark in (False, True):
            browser = page("attention", width, height, dark=dark, touch=width < 600)
            browser.wait(HEADS, 5)
            shot(browser, f"attention-{width}-{'dark' if dark else 'light'}")
            assert browser.run(AUDIT) == [], (width, dark)

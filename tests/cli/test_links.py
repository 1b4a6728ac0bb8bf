"""scripts/check_links.py, which ./dev lint runs over the pages."""

import pathlib
import shutil
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts/check_links.py"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the script asks git for the list of pages")


@pytest.fixture
def check(tmp_path):
    """Runs the script on a repository with these pages and returns the exit code and the lines."""

    def run(**pages):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        shutil.copy(SCRIPT, tmp_path / "scripts")
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
        for name, text in pages.items():
            (tmp_path / f"{name}.md").write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, tmp_path / "scripts/check_links.py"], capture_output=True, text=True)
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()

    return run


def test_valid_links(check):
    page = "[a](other.md) [b](other.md#keys-modeltime) [c](#top) ![d](scripts/check_links.py) [e](https://example.org/x)\n# Top\n"
    other = "# Keys: `model.time`\n"
    assert check(page=page, other=other) == (0, [])


def test_broken_file_and_image(check):
    assert check(page="text\n[a](gone.md)\n![b](gone.png)\n") == (
        1, ["page.md:2: gone.md: no such file", "page.md:3: gone.png: no such file"])


def test_broken_anchor(check):
    code, lines = check(page="# One\n[a](#two) [b](other.md#three)\n", other="# Four\n")
    assert (code, lines) == (1, ["page.md:2: #two: no such heading in page.md",
                                 "page.md:2: other.md#three: no such heading in other.md"])


def test_code_is_not_searched_and_headings_are_numbered(check):
    page = "`[a](gone.md)`\n```\n[b](gone.md)\n# Not a heading\n```\n# Same\n# Same\n[c](#same-1) [d](#not-a-heading)\n"
    assert check(page=page) == (1, ["page.md:8: #not-a-heading: no such heading in page.md"])

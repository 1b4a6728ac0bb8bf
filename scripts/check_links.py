#!/usr/bin/env python3
"""Checks the relative links and anchors of every Markdown page. Links to other sites are not followed."""

import functools
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
LINK = re.compile(r"\]\(\s*<?([^\s()<>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$")
HTML_LINK = re.compile(r"""\b(?:href|src)=["']([^"']+)["']""")
HTML_ANCHOR = re.compile(r"""\b(?:id|name)=["']([^"']+)["']""")


def prose(path: pathlib.Path):
    """The lines outside code blocks, with their numbers."""
    fence = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark = FENCE.match(line)
        if fence:
            fence = None if mark and mark[1].startswith(fence) else fence
        elif mark:
            fence = mark[1]
        else:
            yield number, line


def slug(heading: str) -> str:
    """The anchor that GitHub and GitLab give to a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # a link counts as its text
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@functools.cache
def anchors(path: pathlib.Path) -> frozenset:
    found, seen = set(), {}
    for _, line in prose(path):
        found.update(HTML_ANCHOR.findall(line))
        if heading := HEADING.match(line):
            name = slug(heading[1])
            count = seen[name] = seen.get(name, -1) + 1
            found.add(f"{name}-{count}" if count else name)
    return frozenset(found)


def broken(page: pathlib.Path):
    for number, line in prose(page):
        text = CODE.sub("", line)
        for target in LINK.findall(text) + HTML_LINK.findall(text):
            if re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
                continue
            name, _, anchor = target.partition("#")
            path = (ROOT / name[1:] if name.startswith("/") else page.parent / name).resolve() if name else page
            if not path.exists():
                yield number, f"{target}: no such file"
            elif not path.is_relative_to(ROOT):
                yield number, f"{target}: outside the repository"
            elif anchor and path.suffix == ".md" and anchor not in anchors(path):
                yield number, f"{target}: no such heading in {path.relative_to(ROOT)}"


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = 0
    for name in sorted(set(filter(None, listed.split("\0")))):
        page = ROOT / name
        for number, text in broken(page) if page.exists() else ():
            print(f"{name}:{number}: {text}")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""The help of every command is as tests/cli/help/ holds it: whoever changes one sees it in the diff."""

import difflib

import help_texts
import pytest
from conftest import BINARY

pytestmark = pytest.mark.smoke


def test_the_help_of_every_command_is_as_kept():
    texts, kept = help_texts.collect(BINARY), help_texts.kept()
    assert {"diffit.txt", "sample.txt", "train.txt", "data-convert.txt", "vae-encode.txt"} <= set(texts)
    changed = []
    for name in sorted({*texts, *kept}):
        changed += difflib.unified_diff(kept.get(name, "").splitlines(), texts.get(name, "").splitlines(),
                                        f"tests/cli/help/{name}", f"help of {name.removesuffix('.txt')}", lineterm="", n=0)
    if changed:
        pytest.fail("help differs; `./dev help-texts` rewrites the files:\n" + "\n".join(changed), pytrace=False)


def test_subcommands_are_read_from_a_help_text():
    text = ("A program\nUsage: x SUBCOMMAND\n\nOptions:\n  -h,--help      Print this\n\nSubcommands:\n"
            "  one            Does one:\n                 and more\n  two-three      Does\n  four\n\nFirst steps:\n  x one\n")
    assert help_texts.subcommands(text) == ["one", "two-three", "four"]
    assert help_texts.subcommands("Options:\n  -h\n") == []


def test_writing_removes_what_is_gone_and_touches_only_what_changed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(help_texts, "FOLDER", tmp_path)
    help_texts.write({"a.txt": "1\n", "b.txt": "2\n"})
    times = (tmp_path / "a.txt").stat().st_mtime_ns
    capsys.readouterr()
    help_texts.write({"a.txt": "1\n", "c.txt": "3\n"})
    assert capsys.readouterr().out.split() == ["tests/cli/help/b.txt", "tests/cli/help/c.txt"]
    assert help_texts.kept() == {"a.txt": "1\n", "c.txt": "3\n"}
    assert (tmp_path / "a.txt").stat().st_mtime_ns == times

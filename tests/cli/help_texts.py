#!/usr/bin/env python3
"""The help of every command, as tests/cli/help/ holds it: diffit.txt, sample.txt, vae-encode.txt, ...

    ./dev help-texts     rewrites the files after a help text was changed
"""

import os
import pathlib
import re
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parent / "help"


def subcommands(text):
    """The names under the headings of subcommands in a help text."""
    names = []
    for section in re.findall(r"^(?:Subcommands|Commands):\n((?:^ .*\n)+)", text + "\n", re.MULTILINE):
        names += re.findall(r"^ {1,4}([a-z][\w-]*)(?: |$)", section, re.MULTILINE)
    return names


def collect(program, command=()):
    """The help of the program and of every command below it, by the name of the file."""
    environment = {name: value for name, value in os.environ.items() if name != "DIFFIT_HOME"} | {"COLUMNS": "100"}
    text = subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=True, env=environment,
                          stdin=subprocess.DEVNULL).stdout
    texts = {"-".join(command or ("diffit",)) + ".txt": text}
    for name in subcommands(text):
        texts |= collect(program, (*command, name))
    return texts


def kept():
    return {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt")}


def write(texts):
    FOLDER.mkdir(exist_ok=True)
    before = kept()
    for name in sorted({*before, *texts}):
        if name not in texts:
            (FOLDER / name).unlink()
        elif before.get(name) != texts[name]:
            (FOLDER / name).write_text(texts[name], encoding="utf-8")
        else:
            continue
        print(f"tests/cli/help/{name}")


if __name__ == "__main__":
    write(collect(sys.argv[1]))

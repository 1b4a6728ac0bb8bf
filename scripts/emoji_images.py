#!/usr/bin/python3
"""Renders the emoji of Noto Color Emoji as a small labelled image set: OUT/train/CLASS/NAME.png,
and every eighth image as test data in OUT/test/CLASS/NAME.png.

    apt-get install fonts-noto-color-emoji unicode-data python3-pil
    /usr/bin/python3 scripts/emoji_images.py OUT [--size 32]

The images are Google's Noto Emoji (SIL Open Font License 1.1), drawn on white; the classes are groups of
Unicode's emoji-test.txt. Only single characters are taken: no skin tones, flags or joined sequences.
"""
import argparse
import pathlib
import re

from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
LIST = "/usr/share/unicode/emoji/emoji-test.txt"
CLASSES = {"Smileys & Emotion": "smileys", "Animals & Nature": "animals", "Food & Drink": "food",
           "Travel & Places": "places", "Objects": "objects"}


def characters(path):
    """Yields (class, name, character) of each single emoji of the groups above, in the order of the file."""
    group = ""
    for line in open(path, encoding="utf-8"):
        if line.startswith("# group: "):
            group = line[len("# group: "):].strip()
        match = re.match(r"([0-9A-F ]+); fully-qualified +# \S+ E[\d.]+ (.+)", line)
        if not match or group not in CLASSES:
            continue
        codes = [int(code, 16) for code in match[1].split() if code != "FE0F"]
        if len(codes) == 1:
            yield CLASSES[group], re.sub(r"[^a-z0-9]+", "-", match[2].strip().lower()).strip("-"), chr(codes[0])


def render(font, character, size):
    """Returns the bitmap of the character, centered on white, or None if the font does not have it."""
    canvas = Image.new("RGBA", (136, 136), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((0, 0), character, font=font, embedded_color=True)
    box = canvas.getbbox()
    if box is None or len(canvas.crop(box).convert("RGB").getcolors(1 << 16)) < 3:
        return None
    drawing = canvas.crop(box)
    side = max(drawing.size)
    square = Image.new("RGBA", (side, side), (255, 255, 255, 255))
    square.alpha_composite(drawing, ((side - drawing.width) // 2, (side - drawing.height) // 2))
    inner = size - size // 16
    page = Image.new("RGB", (size, size), (255, 255, 255))
    page.paste(square.convert("RGB").resize((inner, inner), Image.LANCZOS), ((size - inner) // 2,) * 2)
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--font", default=FONT)
    parser.add_argument("--list", default=LIST)
    args = parser.parse_args()
    font = ImageFont.truetype(args.font, 109)  # the only bitmap size of the font
    counts = {"train": {}, "test": {}}
    drawn = 0
    for group, name, character in characters(args.list):
        image = render(font, character, args.size)
        if image is None:
            continue
        drawn += 1
        part = "test" if drawn % 8 == 0 else "train"
        folder = args.out / part / group
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{name}.png")
        counts[part][group] = counts[part].get(group, 0) + 1
    for part, groups in counts.items():
        print(f"{part}: {sum(groups.values())} images:", ", ".join(f"{name} {count}" for name, count in groups.items()))


if __name__ == "__main__":
    main()

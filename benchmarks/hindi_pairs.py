"""Makes training pairs of Hindi and English from files at hand: ``python benchmarks/hindi_pairs.py FOLDER [--devtest]``.

FOLDER holds Tatoeba's pairs (anki-tatoeba), a mixture without a stated licence (hi-en-mixed, for development only), the
texts of LibreOffice (libreoffice-en-hi) and the sets that are measured on (indian-parallel-hi-en). Written is
``English TAB Hindi TAB where from``, the columns of the catalogue's indian-parallel-hi-en:
``--set 'data={corpus: indian-parallel-hi-en, train: hi-en.tsv}'``. What stands in a set that is measured on is left out,
white space and punctuation aside, and so is a pair that stands there twice. With ``--devtest`` the set of that name is
trained on too, each sentence with its four translations: then only dev and test are measured on.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from seqcli.data.divide import letters
from seqcli.lines import read_lines

SOURCES = (
    "anki-tatoeba/eng-hin.txt",
    "hi-en-mixed/train.en-hi.tsv.gz",
    "hi-en-mixed/val.en-hi.tsv.gz",
    "libreoffice-en-hi/en-hi.tsv.gz",
)
PARALLEL = "indian-parallel-hi-en"


def candidates(folder: Path, devtest: bool) -> Iterator[tuple[str, str, str]]:
    for source in SOURCES:
        for _, line in read_lines(folder / source):
            english, hindi, *_ = (" ".join(cell.split()) for cell in line.split("\t"))
            yield english, hindi, source.partition("/")[0]
    for number in range(4 if devtest else 0):
        sides = [folder / PARALLEL / f"devtest.hi-en.{side}" for side in (f"en.{number}", "hi")]
        for (_, english), (_, hindi) in zip(*map(read_lines, sides), strict=True):
            yield english.strip(), hindi.strip(), "devtest"


def pairs(folder: Path, devtest: bool, counts: Counter[str]) -> Iterator[tuple[str, str, str]]:
    """Yield ``(English, Hindi, source)``; ``counts`` gets what was read of each source and what was left out."""
    splits = ("dev", "test") if devtest else ("dev", "devtest", "test")
    files = [folder / PARALLEL / f"{split}.hi-en.hi" for split in splits]
    measured = {letters(line) for file in files for _, line in read_lines(file)}
    seen = set()
    for english, hindi, name in candidates(folder, devtest):
        key = letters(english), letters(hindi)
        counts[f"{name}: read"] += 1
        if not all(key):
            counts[f"{name}: a side without a letter"] += 1
        elif key[1] in measured:
            counts[f"{name}: in a set that is measured on"] += 1
        elif key in seen:
            counts[f"{name}: twice"] += 1
        else:
            seen.add(key)
            yield english, hindi, name


def main() -> None:
    counts: Counter[str] = Counter()
    written = 0
    for row in pairs(Path(sys.argv[1]), "--devtest" in sys.argv[2:], counts):
        print(*row, sep="\t")
        written += 1
    for what, count in counts.items():
        print(f"{what}: {count:,}", file=sys.stderr)
    print(f"written: {written:,} pairs", file=sys.stderr)


if __name__ == "__main__":
    main()

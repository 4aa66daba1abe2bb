"""Makes the training pairs of Hindi and English from files at hand: ``python benchmarks/hindi_pairs.py FOLDER > hi-en.tsv``.

FOLDER holds Tatoeba's pairs (anki-tatoeba), a mixture without a stated licence (hi-en-mixed, for development only), the
texts of LibreOffice (libreoffice-en-hi) and the sets that are measured on (indian-parallel-hi-en). Written is
``English TAB Hindi TAB where from``, the columns of the catalogue's indian-parallel-hi-en:
``--set 'data={corpus: indian-parallel-hi-en, train: hi-en.tsv}'``. What stands in a set that is measured on is left out,
white space and punctuation aside, and so is a pair that stands there twice.
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
MEASURED = tuple(f"indian-parallel-hi-en/{split}.hi-en.hi" for split in ("dev", "devtest", "test"))


def pairs(folder: Path, counts: Counter[str]) -> Iterator[tuple[str, str, str]]:
    """Yield ``(English, Hindi, source)``; ``counts`` gets what was read of each source and what was left out."""
    measured = {letters(line) for name in MEASURED for _, line in read_lines(folder / name)}
    seen = set()
    for source in SOURCES:
        name = source.partition("/")[0]
        for _, line in read_lines(folder / source):
            english, hindi, *_ = (" ".join(cell.split()) for cell in line.split("\t"))
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
    for row in pairs(Path(sys.argv[1]), counts):
        print(*row, sep="\t")
        written += 1
    for what, count in counts.items():
        print(f"{what}: {count:,}", file=sys.stderr)
    print(f"written: {written:,} pairs", file=sys.stderr)


if __name__ == "__main__":
    main()

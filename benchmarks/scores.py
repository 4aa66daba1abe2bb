"""CPU time of the score verbs, whole process, against the sacrebleu command.

    python benchmarks/scores.py [--pairs 15] [--lines 3000]

Both commands run in turn on the same files, written here from a fixed seed; the figure is the median of the ratios of
neighbouring runs, so that a machine that grows slower during the run slows both. Also: span scoring in tokens a second.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEXT = """the a of to and in that is was he for it with as his on be at by this had not are but from or have an they
which one you were all her she there would their we him been has when who will no more if out so up said what
river station morning painter engine letter window market summer doctor bridge garden winter road village"""
WORDS = TEXT.split()


def write_texts(folder: Path, lines: int) -> None:
    """ref.txt and hyp.txt: sentences of about 20 words, and the same with words lost, changed and swapped."""
    generator = random.Random(1)
    references, hypotheses = [], []
    for _ in range(lines):
        words = [generator.choice(WORDS) for _ in range(generator.randint(8, 32))]
        changed = [word if generator.random() > 0.15 else generator.choice(WORDS) for word in words]
        changed = [word for word in changed if generator.random() > 0.05]
        references.append(" ".join(words).capitalize() + ".")
        hypotheses.append(" ".join(changed).capitalize() + ".")
    (folder / "ref.txt").write_text("\n".join(references) + "\n")
    (folder / "hyp.txt").write_text("\n".join(hypotheses) + "\n")


def cpu_seconds(command: list[str], folder: Path) -> float:
    """User and system time of one run of ``command``."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(folder: Path, pairs: int) -> None:
    for name in ("bleu", "chrf"):
        ours = [sys.executable, "-m", "seqcli", name, "hyp.txt", "ref.txt"]
        theirs = [sys.executable, "-m", "sacrebleu", "ref.txt", "-i", "hyp.txt", "-m", name, "-f", "text"]
        times = [(cpu_seconds(ours, folder), cpu_seconds(theirs, folder)) for _ in range(pairs)]
        mine, other = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(one / two for one, two in times)
        print(f"{name}: seqcli {mine:.3f} s, sacrebleu {other:.3f} s, median ratio {ratio:.2f} ({pairs} pairs)")


def span_speed(sentences: int = 20_000) -> None:
    from seqcli.metrics.schemes import spans
    from seqcli.metrics.spans import SpanScorer

    generator = random.Random(1)
    data = []
    for _ in range(sentences):
        tags = ["O"] * 20
        for start in (3, 9):
            if generator.random() < 0.5:
                tags[start : start + 2] = ["B-PER", "I-PER"]
        data.append(tags)
    tokens = 20 * sentences
    scorer = SpanScorer()
    for name, work in (("spans", spans), ("SpanScorer.add", lambda tags: scorer.add(tags, tags))):
        start = time.process_time()
        for tags in data:
            work(tags)
        print(f"{name}: {tokens / (time.process_time() - start) / 1e6:.1f} M tokens/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--lines", type=int, default=3000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_texts(Path(folder), arguments.lines)
        compare(Path(folder), arguments.pairs)
    sys.path.insert(0, str(Path(__file__).parents[1]))
    span_speed()


if __name__ == "__main__":
    main()

"""`seqcli predict MODEL` on a long file and on an endless stream: lines a second of the whole process, and its memory.

    python benchmarks/classify_lines.py sentiment-bag [--lines 1000000] [--stream 20]

The lines are those of SST's training split, again and again: SEQCLI_MIRROR names a folder that has them.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SENTENCES = "sentence-classification/stsa.binary.train.txt"


def resident_mb(process: int) -> float:
    """Resident memory of a running process, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def on_a_file(command: list[str], lines: list[str], count: int, runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.txt"
        path.write_text("".join((lines * (count // len(lines) + 1))[:count]))
        seconds = []
        for _ in range(runs):
            began = time.perf_counter()
            subprocess.run([*command, str(path)], check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - began)
        middle = statistics.median(seconds)
        print(
            f"{count:,} lines in {middle:.2f} s (median of {runs}): {count / middle:,.0f} lines/s, whole process",
            flush=True,
        )


def on_a_stream(command: list[str], lines: list[str], seconds: float) -> None:
    """Feed new lines without end, with words never seen before in each, and watch the memory."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    began, told, number = time.perf_counter(), 0.0, 0
    while (now := time.perf_counter() - began) < seconds:
        block = "".join(f"{line[:-1]} w{number + at}\n" for at, line in enumerate(lines))
        process.stdin.write(block.encode())
        number += len(lines)
        if now - told >= seconds / 5:
            told = now
            print(f"  {now:5.1f} s  {number:12,} lines  {resident_mb(process.pid):8.1f} MB", flush=True)
    print(f"  end      {number:12,} lines  {resident_mb(process.pid):8.1f} MB", flush=True)
    process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a trained classifier of text")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--stream", type=float, default=0.0, metavar="SECONDS", help="also feed a stream so long")
    options = parser.parse_args()
    path = Path(os.environ.get("SEQCLI_MIRROR", "")) / SENTENCES
    if not path.is_file():
        print(f"skipped: SEQCLI_MIRROR names no folder with {SENTENCES}")
        return
    lines = [line[2:] + "\n" for line in path.read_text(encoding="utf-8").split("\n") if line]
    command = [sys.executable, "-m", "seqcli", "predict", options.model]
    on_a_file(command, lines, options.lines, options.runs)
    if options.stream:
        on_a_stream(command, lines, options.stream)


if __name__ == "__main__":
    main()

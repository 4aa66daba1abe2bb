"""CPU seconds of a whole process for the verbs that must start at once, and for a line through trained models.

    python benchmarks/startup.py [--runs 15] [--model RUN] [--model ANOTHER]

Medians over the runs. Bytecode is compiled first, as an installed package has it.
"""

from __future__ import annotations

import argparse
import compileall
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from seqcli.store.runs import Store

ROOT = Path(__file__).parents[1]
LIGHT = (["--help"], ["recipes", "ls"], ["recipes", "validate", "ner"], ["data", "ls"], ["models", "ls"])


def run(arguments: list[str], text: str = "") -> tuple[float, float]:
    """CPU and wall seconds of one run."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "seqcli", *arguments],
        input=text.encode(),
        env=environment,
        check=True,
        capture_output=True,
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def imports_torch(arguments: list[str]) -> bool:
    code = (
        "import sys; from seqcli.cli.app import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "sys.exit(3 if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )
    return done.returncode == 3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--model", action="append", default=[], help="a trained model, for the time that a line takes")
    options = parser.parse_args()
    compileall.compile_dir(ROOT / "seqcli", quiet=1)
    for arguments in LIGHT:
        run(arguments)
        cpu = statistics.median(run(arguments)[0] for _ in range(options.runs))
        loaded = "torch loaded" if imports_torch(arguments) else "no torch"
        print(f"seqcli {' '.join(arguments):<22} {cpu:.3f} s CPU, {loaded}")
    line = "Mohan Sharma was driving a Maruti 800 in Chennai\n"
    for model in options.model:
        verb = "score" if Store().resolve(model).report()["task"] == "language-model" else "predict"
        times = [run([verb, model], line) for _ in range(options.runs)]
        cpu, wall = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"a line through {verb} {model}: {wall:.2f} s wall, {cpu:.2f} s CPU")


if __name__ == "__main__":
    main()

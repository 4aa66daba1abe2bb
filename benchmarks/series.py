"""Many series: ``python benchmarks/series.py [--series 100000] [--steps 100] [--long]``.

Writes a table of waves with a trend and noise, trains a small network for some steps (``--train-steps``) and forecasts all of
them, each by the program as a user runs it. It prints what it took to read the table, training windows a second, the series a
second that are forecast, and the peak resident memory of each process. Everything that is written is deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

RECIPE = """
name: many
task: {kind: forecasting, look_back: 24, steps: 12, season: 12, baselines: []}
data: {train: TABLE, dev_steps: 12, test_steps: 12, FORMAT}
source: {kind: series}
model:
  embedder: {kind: series, normalize: last}
  encoder: {kind: gru, dim: 32, bidirectional: false}
  head: {kind: direct}
training: {optimizer: {kind: adamw}, batch: {tokens: 6144}, max_steps: STEPS, evaluate_every: STEPS}
"""
_AT_ONCE = 1000


class Took(NamedTuple):
    """How a program ended: seconds, those of them on a processor, peak resident memory in MB, what it said."""

    seconds: float
    cpu: float
    megabytes: float
    out: str
    err: str


def write_table(path: Path, series: int, steps: int, *, long: bool) -> None:
    """A line for each series, or with ``long`` a row for each of its steps."""
    chance = np.random.default_rng(1)
    time_T = np.arange(steps)
    days = (np.datetime64("2020-01-01") + time_T).astype(str).tolist()
    with path.open("w", encoding="ascii") as handle:
        if long:
            handle.write("unique_id,ds,y\n")
        for first in range(0, series, _AT_ONCE):
            count = min(_AT_ONCE, series - first)
            level, phase = chance.uniform(5, 500, (2, count, 1))
            values = level * (1 + 0.002 * time_T + 0.2 * np.sin(2 * np.pi * (time_T + phase) / 12))
            values += 0.05 * level * chance.normal(size=(count, steps))
            for number, row in enumerate(np.char.mod("%.2f", values).tolist(), first):
                if long:
                    handle.writelines(f"s{number},{day},{value}\n" for day, value in zip(days, row, strict=True))
                else:
                    handle.write(f"s{number},{','.join(row)}\n")


def run(*arguments: str, folder: Path, out: Path | None = None) -> Took:
    """The program with these arguments, in a process whose memory is its own."""
    began = time.monotonic()
    with open(out or os.devnull, "w", encoding="utf-8") as target, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "seqcli", *arguments],
            stdout=subprocess.PIPE if out is None else target,
            stderr=errors,
            text=True,
            env={**os.environ, "SEQCLI_CACHE": str(folder / "cache"), "SEQCLI_RUNS": str(folder / "runs")},
        )
        said = process.stdout.read() if process.stdout else ""
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = code
        errors.seek(0)
        told = errors.read()
    if code:
        sys.exit(told)
    return Took(time.monotonic() - began, usage.ru_utime + usage.ru_stime, _megabytes(usage), said, told)


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def main() -> None:
    """Write, train and forecast, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=100, help="of each series")
    parser.add_argument("--long", action="store_true", help="a row for each step, not a line for each series")
    parser.add_argument("--train-steps", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seqcli-series-") as name:
        folder = Path(name)
        table = folder / "table.csv"
        write_table(table, options.series, options.steps, long=options.long)
        form = "series" if options.long else "series-rows"
        print(f"{options.series:,} series x {options.steps} steps, {form}, {table.stat().st_size / 1e6:,.0f} MB")
        recipe = RECIPE.replace("TABLE", str(table)).replace("STEPS", str(options.train_steps))
        (folder / "many.yaml").write_text(recipe.replace("FORMAT", f"format: {form}"))
        read = run("train", str(folder / "many.yaml"), "--dry-run", folder=folder)
        print(f"read and encoded, first batch: {read.seconds:.1f} s (CPU {read.cpu:.1f} s), {read.megabytes:,.0f} MB")
        trained = run("train", str(folder / "many.yaml"), "--json", folder=folder)
        report = json.loads(trained.out)
        steps = json.loads(next((folder / "runs").rglob("metrics.jsonl")).read_text().splitlines()[-1])
        windows = report["test"]["counts"]["windows"]
        print(
            f"trained {report['steps']} steps: {steps['tokens_per_second'] / 24:,.0f} windows/s; with dev and test "
            f"({windows:,} forecasts each) {trained.seconds:.1f} s (CPU {trained.cpu:.1f} s), {trained.megabytes:,.0f} MB"
        )
        found = run("forecast", "many", str(table), folder=folder, out=folder / "next.csv")
        with (folder / "next.csv").open() as handle:
            lines = sum(1 for _ in handle)
        print(
            f"forecast of all, 12 steps ({lines:,} lines): {found.seconds:.1f} s (CPU {found.cpu:.1f} s), "
            f"{options.series / found.seconds:,.0f} series/s ({options.series / found.cpu:,.0f} a CPU second), "
            f"{found.megabytes:,.0f} MB"
        )


if __name__ == "__main__":
    main()

"""Train on a file larger than memory: ``python benchmarks/big_corpus.py [--gigabytes 3] [--limit-gb 1.5]``.

Writes a file of ``token/tag`` lines (real sentences in random order, a rare word made up in every fourth one, so that
the number of types grows without end), encodes it and trains some steps. The parent process and each worker run under
a limit of the address space (RLIMIT_AS, ``ulimit -v``), set by the kernel: code, heap and mappings all count. The
private memory of the whole process tree is sampled beside it. Everything that is written is deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from seqcli.data.corpus import open_corpus
from seqcli.recipe.data import DataConfig

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def sentences() -> tuple[str, list[list[str]]]:
    """``(name, sentences of token/tag items)`` of EWT where it can be had from a mirror, else of mini-ner."""
    name = "ud-english-ewt" if os.environ.get("SEQCLI_MIRROR") else "mini-ner"
    corpus = open_corpus(DataConfig(corpus=name), splits=("train",))
    return name, [
        [f"{token}/{tag}" for token, tag in zip(example.source, example.target, strict=True)]
        for example in corpus.examples("train")
        if not any(" " in token for token in example.source)
    ]


def write_corpus(path: Path, size: int) -> tuple[str, int, int]:
    """Write about ``size`` bytes; returns (source, sentences, tokens)."""
    chance = random.Random(1)
    name, known = sentences()
    count = tokens = written = 0
    with path.open("w", encoding="utf-8") as handle:
        while written < size:
            chance.shuffle(known)
            lines = []
            for sentence in known:
                items = sentence
                if chance.random() < 0.25:
                    made_up = "".join(chance.choices(LETTERS, k=chance.randint(4, 9)))
                    items = [*items[:-1], f"{made_up}/NOUN", items[-1]]
                lines.append(" ".join(items) + "\n")
                tokens += len(items)
            count += len(lines)
            written += handle.write("".join(lines))
    return name, count, tokens


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for process in found:
        try:
            for children in Path(f"/proc/{process}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        except OSError:
            continue
    return found


def private_mb(pid: int) -> float:
    """Memory that is this process's alone (anonymous and private pages), MB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))) * 1.024e-3


def address_space_mb(pid: int) -> float:
    """Largest address space of a process so far, MB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmPeak")) * 1.024e-3


def watch(command: list[str], environment: dict[str, str], limit: int) -> dict[str, object]:
    """Run a command under a limit of its address space; returns code, stdout, the lines of stderr, peaks."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))  # its workers inherit it
        peak_tree = peak_parent = peak_space = 0.0
        processes = 0
        while process.poll() is None:
            pids = tree(process.pid)
            sizes = [private_mb(pid) for pid in pids]
            peak_tree, peak_parent = max(peak_tree, sum(sizes)), max(peak_parent, sizes[0])
            peak_space = max(peak_space, address_space_mb(process.pid))
            processes = max(processes, len(pids))
            time.sleep(0.5)
        output = process.stdout.read() if process.stdout else ""
        errors.seek(0)
        return {
            "code": process.returncode,
            "output": output,
            "errors": errors.read(),
            "processes": processes,
            "tree_mb": round(peak_tree),
            "parent_mb": round(peak_parent),
            "space_mb": round(peak_space),
            "seconds": time.monotonic() - began,
        }


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Write, encode and train, train again from the cache, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=3.0, help="size of the file, GB (10^9 bytes)")
    parser.add_argument("--limit-gb", type=float, default=1.5, help="address space of each process, GB (10^9 bytes)")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=1024, help="positions a batch")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seqcli-big-") as name:
        folder = Path(name)
        source, count, tokens = write_corpus(folder / "big.txt", int(options.gigabytes * 1e9))
        size = (folder / "big.txt").stat().st_size
        print(f"{size / 1e9:.2f} GB: {count:,} sentences, {tokens:,} tokens, from {source}", flush=True)
        (folder / "dev.txt").write_bytes((folder / "big.txt").open("rb").read(2**17).rpartition(b"\n")[0] + b"\n")
        environment = {
            **os.environ,
            "SEQCLI_CACHE": str(folder / "cache"),
            "SEQCLI_RUNS": str(folder / "runs"),
            "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "2"),
        }
        settings = [
            f"data.train={folder / 'big.txt'}",
            f"data.dev={folder / 'dev.txt'}",
            f"data.test={folder / 'dev.txt'}",
            "data.format=inline",
            f"training.batch.tokens={options.tokens}",
            f"training.max_steps={options.steps}",
        ]
        command = [sys.executable, "-m", "seqcli", "train", "pos", "--json"]
        for setting in settings:
            command += ["--set", setting]
        limit = int(options.limit_gb * 1e9)
        whole = {}
        for what in ("encode and train", "train again, from the cache"):
            found = whole[what] = watch(command, environment, limit)
            if found["code"]:
                sys.exit(f"{what}: exit code {found['code']}\n{found['errors']}")
            [*_, metrics] = sorted((folder / "runs").glob("pos/*/metrics.jsonl"))
            last = json.loads(metrics.read_text().splitlines()[-1])
            print(
                f"{what}: {found['seconds']:.0f} s; {found['processes']} processes, together at most "
                f"{found['tree_mb']} MB of private memory; the parent {found['parent_mb']} MB, its address space "
                f"{found['space_mb']} MB; steps at {last['tokens_per_second']:,.0f} tokens/s",
                flush=True,
            )
        first, again = (whole[what]["seconds"] for what in whole)
        print(
            f"encoding (the difference): {first - again:.0f} s, {tokens / (first - again):,.0f} tokens/s; "
            f"cache {folder_bytes(folder / 'cache') / 1e9:.2f} GB; load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()

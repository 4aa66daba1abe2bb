"""Encoding a split: the same arrays for any number of processes, every count right, and nothing half-done left."""

import gc
import subprocess
import sys
import tracemalloc
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np
import pytest

from seqcli import lines
from seqcli.data import arrays, encode
from seqcli.data.chunks import chunks
from seqcli.data.corpus import open_corpus
from seqcli.data.encode import EncodeJob, encode_split
from seqcli.data.example import Example
from seqcli.errors import ExitCode, UserError
from seqcli.metrics.schemes import violations
from seqcli.recipe.data import DataConfig
from seqcli.recipe.load import recipe_from_text
from seqcli.tasks.base import new_task

RECIPE = """
name: tagger
task: {kind: tagging}
data: {train: none.conll}
model: {embedder: {kind: tokens}, encoder: {kind: lstm}, head: {kind: crf}}
"""


def write(path, sentences):
    path.write_text(
        "".join("".join(f"{token}\t{tag}\n" for token, tag in zip(*pair, strict=True)) + "\n" for pair in sentences),
        encoding="utf-8",
    )
    return path


def random_sentences(number, seed=0):
    random = np.random.default_rng(seed)
    sentences = []
    for _ in range(number):
        size = int(random.integers(1, 12))
        tokens = [f"wörd{random.integers(300)}" for _ in range(size)]
        tags = [("O", "B-PER", "B-LOC")[random.integers(3)] for _ in range(size)]
        sentences.append((tokens, tags))
    return sentences


def tagging(max_length=1000, scheme="bio", model_scheme=None):
    """A tagging task, which reads."""
    target = f"{{kind: tags, scheme: {scheme or 'null'}, model_scheme: {model_scheme or 'null'}}}"
    overrides = [f"data.max_length={max_length}", f"target={target}"]
    return new_task(recipe_from_text(RECIPE, overrides=overrides).recipe)


def job_of(files, *, task=None, key="k", part_bytes=2**24):
    """What a training makes of the files, cut into parts of ``part_bytes``."""
    config = DataConfig(train=[str(file) for file in files], format="conll")
    corpus = open_corpus(config, splits=("train",))
    return EncodeJob(
        files=[str(file) for file in files],
        parts=[chunks(file, "conll", part_bytes) for file in files],
        read=partial(corpus.part_examples, "train"),
        pieces=(task or tagging()).read,
        key=key * 32,
        size=sum(file.stat().st_size for file in files),
    )


def decoded(split, name):
    field = split[name]
    return [[field.symbols[value] for value in field.sequence(row)] for row in range(len(split))]


def test_symbols_counts_and_places(tmp_path):
    sentences = random_sentences(200)
    first, second = write(tmp_path / "a.conll", sentences[:150]), write(tmp_path / "b.conll", sentences[150:])
    told = []
    split = encode_split(job_of([first, second]), tmp_path / "cache", progress=lambda *done: told.append(done))
    assert decoded(split, "source") == [tokens for tokens, _ in sentences]
    assert decoded(split, "target") == [tags for _, tags in sentences]
    field = split["source"]
    assert dict(zip(field.symbols, field.counts.tolist(), strict=True)) == Counter(
        token for tokens, _ in sentences for token in tokens
    )
    assert field.lengths.tolist() == [len(tokens) for tokens, _ in sentences]
    assert field.gather([3, 0]).tolist() == [*field.sequence(3).tolist(), *field.sequence(0).tolist()]
    line = 1
    for row, (tokens, _) in enumerate(sentences):
        if row == 150:
            line = 1
        assert split.place(row) == f"{first if row < 150 else second}:{line}"
        line += len(tokens) + 1
    assert told == [(1, 2), (2, 2)]
    assert (len(split), split.cut) == (200, 0)


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_processes_make_the_arrays_of_one(tmp_path, monkeypatch):
    file = write(tmp_path / "a.conll", random_sentences(300, seed=1))
    one = encode_split(job_of([file], part_bytes=2**12), tmp_path / "one")
    whole = encode_split(job_of([file]), tmp_path / "whole")
    monkeypatch.setattr(encode, "PARALLEL_BYTES", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    two = encode_split(job_of([file], part_bytes=2**12), tmp_path / "two")
    assert len(chunks(file, "conll", 2**12)) > 3
    assert files_of(one.folder) == files_of(two.folder) == files_of(whole.folder)


def test_a_worker_names_the_bad_line(tmp_path, monkeypatch):
    sentences = random_sentences(300, seed=2)
    sentences[250] = (["x"], ["I-PER"])
    line = 1 + sum(len(tokens) + 1 for tokens, _ in sentences[:250])
    file = write(tmp_path / "a.conll", sentences)
    monkeypatch.setattr(encode, "PARALLEL_BYTES", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    with pytest.raises(UserError) as caught:
        encode_split(job_of([file], part_bytes=2**12), tmp_path / "cache")
    assert (caught.value.code, caught.value.file, caught.value.line) == (ExitCode.DATA, str(file), line)
    assert list((tmp_path / "cache").iterdir()) == []


def test_workers_need_no_torch():
    code = "import sys, seqcli.data.encode, seqcli.tasks.tagging; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


SPANS = [
    ["B-PER", "I-PER", "I-PER", "O", "B-LOC", "I-LOC", "O", "O", "B-PER", "B-PER"],
    ["O", "O"],
    ["B-LOC"] + ["I-LOC"] * 8,
]


@pytest.mark.parametrize("max_length", range(1, 12))
@pytest.mark.parametrize("model_scheme", ["bio", "bioes", "bilou", "iob1", None])
def test_long_sequences_are_cut_legally(tmp_path, max_length, model_scheme):
    """Pieces within the limit, together the sequence, each valid by itself; between spans wherever there is a place."""
    sentences = [([f"w{number}" for number in range(len(tags))], tags) for tags in SPANS]
    task = tagging(max_length, "bio" if model_scheme else None, model_scheme)
    job = job_of([write(tmp_path / "a.conll", sentences)], task=task)
    split = encode_split(job, tmp_path / "cache")
    tokens, tags = decoded(split, "source"), decoded(split, "target")
    assert max(map(len, tokens)) <= max_length
    assert [*chain(*tokens)] == [word for words, _ in sentences for word in words]
    assert split.cut == sum(len(words) > max_length for words, _ in sentences)
    if model_scheme is None:
        assert [*chain(*tags)] == [*chain(*SPANS)]
        return
    assert [violations(part, model_scheme) for part in tags] == [[] for _ in tags]
    if max_length == 4:  # three tokens of PER, then O
        assert tokens[0] == ["w0", "w1", "w2", "w3"]
        assert tokens[1] == ["w4", "w5", "w6", "w7"]
    if max_length == 5:  # not in the middle of LOC, whatever the letters
        assert tokens[0] == ["w0", "w1", "w2", "w3"]


def test_a_file_without_examples(tmp_path):
    file = tmp_path / "blank.conll"
    file.write_text("\n\n \n")
    with pytest.raises(UserError, match="no example") as caught:
        encode_split(job_of([file]), tmp_path / "cache")
    assert caught.value.code == ExitCode.DATA
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("tokens", "tags", "reason"),
    [
        (["a", ""], ["O", "O"], "token 2 is empty"),
        (["a"], [""], "tag 1 is empty"),
        (["a"], ["O\nB-X"], "line break"),
        ("a text", "a label", "tokens with a tag each"),
        (["a"], None, "tokens with a tag each"),
    ],
)
def test_what_no_vocabulary_could_hold(tokens, tags, reason):
    with pytest.raises(UserError, match=reason) as caught:
        list(tagging(10, None).read(Example(tokens, tags, "x.jsonl:3")))
    assert caught.value.code == ExitCode.DATA
    assert str(caught.value).startswith("x.jsonl:3")


def test_an_example_without_tokens_is_a_blank_line():
    assert list(tagging(10, None).read(Example([], [], "x.jsonl:3"))) == []


def test_the_cache_is_used_again(tmp_path):
    job = job_of([write(tmp_path / "a.conll", random_sentences(5))])
    split = encode_split(job, tmp_path / "cache")

    def fail(part):
        raise AssertionError("read again")

    assert encode_split(replace(job, read=fail), tmp_path / "cache").folder == split.folder
    with pytest.raises(AssertionError, match="read again"):
        encode_split(replace(job, read=fail, key="other" * 32), tmp_path / "cache")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, RuntimeError])
def test_an_interrupted_encoding_leaves_nothing(tmp_path, error):
    job = job_of([write(tmp_path / "a.conll", random_sentences(5))])

    def half(part):
        yield from list(job.read(part))[:3]
        raise error

    with pytest.raises(error):
        encode_split(replace(job, read=half), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    assert len(encode_split(job, tmp_path / "cache")) == 5


def test_the_first_of_two_at_once_wins(tmp_path):
    job = job_of([write(tmp_path / "a.conll", random_sentences(5))])

    def late(part):
        encode_split(job, tmp_path / "cache")  # another training was quicker
        yield from job.read(part)

    assert len(encode_split(replace(job, read=late), tmp_path / "cache")) == 5
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_memory_does_not_grow_with_the_corpus(tmp_path, monkeypatch):
    """Eight times the sentences over the same words: the peak stays."""
    monkeypatch.setattr(encode, "_EXAMPLES_A_PART", 100)
    monkeypatch.setattr(lines, "BLOCK_BYTES", 2**12)
    peaks = []
    for times in (4, 32):
        file = write(tmp_path / f"{times}.conll", random_sentences(100) * times)
        job = job_of([file], key=f"{times:02}")
        gc.collect()
        tracemalloc.start()
        split = encode_split(job, tmp_path / "cache")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(split) == 100 * times
    assert peaks[1] < 1.3 * peaks[0]


def test_endless_spellings_share_an_entry(tmp_path):
    def part(symbols):
        values = np.arange(len(symbols), dtype=np.uint32)
        field = arrays.PartField(values, np.array([len(symbols)], np.int64), symbols)
        return arrays.Part(0, np.array([1], np.int64), {"source": field})

    writer = arrays.SplitWriter(tmp_path / "split", ["f"], max_symbols=3)
    writer.add(part(["a", "b", "c"]))
    writer.add(part(["b", "d", "e"]))
    writer.close()
    split = arrays.Columns(tmp_path / "split")
    assert decoded(split, "source") == [["a", "b", "c"], ["b", "<UNK>", "<UNK>"]]
    assert split["source"].counts.tolist() == [1, 2, 1, 2]


def test_frames_are_rows_of_numbers(tmp_path):
    """A field of numbers beside one of symbols; a sequence of one frame too."""
    frames = [np.random.default_rng(0).normal(size=(size, 3)).astype(np.float32) for size in (4, 1, 2)]
    examples = [Example(rows, ["up"], f"f:{line}") for line, rows in enumerate(frames, 1)]
    job = EncodeJob(
        ["f"],
        [["f"]],
        lambda part: iter(examples),
        lambda example: [{"frames": example.source, "label": example.target}],
        "k" * 32,
        0,
    )
    split = encode_split(job, tmp_path)
    field = split["frames"]
    assert field.symbols == []
    assert field.lengths.tolist() == [4, 1, 2]
    for row, rows in enumerate(frames):
        assert np.array_equal(field.sequence(row), rows)
    assert field.gather([2, 1]).shape == (3, 3)
    assert decoded(split, "label") == [["up"]] * 3
    assert split.place(2) == "f:3"


def test_large_arrays_are_read_and_not_mapped(tmp_path, monkeypatch):
    """Whichever way, the same values: a split of symbols and one of frames."""
    file = write(tmp_path / "a.conll", random_sentences(60))
    frames = [np.arange(size * 3, dtype=np.float32).reshape(size, 3) for size in (4, 1, 2)]
    jobs = [
        job_of([file]),
        EncodeJob(
            ["f"],
            [["f"]],
            lambda part: (Example(rows, None, "f:7") for rows in frames),
            lambda example: [{"frames": example.source}],
            "f" * 32,
            0,
        ),
    ]
    for job in jobs:
        mapped = encode_split(job, tmp_path / "cache")
        monkeypatch.setattr(arrays, "MAPPED_BYTES", 1)
        read = encode_split(job, tmp_path / "cache")
        monkeypatch.undo()
        assert [read.place(row) for row in range(len(read))] == [mapped.place(row) for row in range(len(mapped))]
        for name, field in read.columns.items():
            assert isinstance(field.values, arrays.DiskArray)
            same = mapped[name]
            rows = np.array([2, 0, 1])
            assert np.array_equal(field.gather(rows), same.gather(rows))
            assert field.lengths.tolist() == same.lengths.tolist() == same.lengths_of(np.arange(len(read))).tolist()
            assert field.lengths_of(rows).tolist() == same.lengths_of(rows).tolist()


def test_ids_take_two_bytes_until_they_need_four(tmp_path):
    few, many = [f"w{number}" for number in range(2**16)], ["w3", "x", "y"]
    writer = arrays.SplitWriter(tmp_path / "split", ["f"])
    for symbols in (few, many):
        values = np.arange(len(symbols), dtype=np.uint32)
        fields = {
            "source": arrays.PartField(values, np.array([len(symbols)], np.int64), symbols),
            "target": arrays.PartField(values[:1], np.array([1], np.int64), ["O"]),
        }
        writer.add(arrays.Part(0, np.array([1], np.int64), fields))
    writer.close()
    split = arrays.Columns(tmp_path / "split")
    assert split["source"].values.dtype == np.uint32
    assert split["target"].values.dtype == np.uint16
    assert decoded(split, "source") == [few, many]
    assert split["source"].counts[[3, 4, 2**16]].tolist() == [2, 1, 1]
    assert not list((tmp_path / "split").glob("*.narrow"))


def test_read_ahead_is_bounded_and_in_order():
    begun, most = [], 0

    class Result:
        def __init__(self, value):
            self.value = value

        def get(self):
            return self.value

    def submit(work, arguments):
        begun.append(arguments[0])
        return Result(work(*arguments))

    taken = []
    for value in encode.in_order(submit, lambda task: task * 10, range(20), 3):
        most = max(most, len(begun) - len(taken))
        taken.append(value)
    assert taken == [number * 10 for number in range(20)]
    assert most == 3


def test_progress_counts_parts_of_files(tmp_path, monkeypatch):
    """Not the smaller parts they come in, which would be done long before the file is."""
    monkeypatch.setattr(encode, "_VALUES_A_PART", 50)
    told = []
    job = job_of([write(tmp_path / "a.conll", random_sentences(300))], part_bytes=2**12)
    encode_split(job, tmp_path / "cache", progress=lambda *done: told.append(done))
    assert told == [(number + 1, len(job.parts[0])) for number in range(len(job.parts[0]))]


def test_hundreds_of_small_files_make_one_split(tmp_path):
    files = []
    for number in range(300):
        files.append(tmp_path / f"{number}.conll")
        write(files[-1], [([f"w{number}"], ["O"]), (["same"], ["O"])])
    split = encode_split(job_of(files), tmp_path / "cache")
    assert len(split) == 600
    assert [split.place(row) for row in (0, 1, 598, 599)] == [
        f"{files[0]}:1",
        f"{files[0]}:3",
        f"{files[299]}:1",
        f"{files[299]}:3",
    ]
    assert decoded(split, "source")[598:] == [["w299"], ["same"]]


def test_more_files_than_can_be_numbered_are_refused(tmp_path):
    job = EncodeJob(files=["x"] * 65_537, parts=[], read=list, pieces=None, key="k" * 32, size=0)
    with pytest.raises(UserError, match="a split of 65,537 files") as caught:
        encode_split(job, tmp_path / "cache")
    assert caught.value.code == ExitCode.USAGE

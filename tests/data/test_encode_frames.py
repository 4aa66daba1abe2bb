"""Frames through the encoder: the same numbers on disk for any number of parts and processes, nothing that misfits."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from seqcli.data import arrays, encode
from seqcli.data.chunks import chunks
from seqcli.data.corpus import open_corpus
from seqcli.data.encode import Cut, EncodeJob, encode_examples, encode_split
from seqcli.data.example import Example
from seqcli.errors import UserError
from seqcli.recipe.data import DataConfig


@dataclass(frozen=True)
class FramePieces:
    """What a task makes of frames: their beginning and the label."""

    max_length: int = 1000

    def __call__(self, example):
        fields = {"frames": example.source[: self.max_length], "label": [example.target]}
        yield Cut(fields) if len(example.source) > self.max_length else fields


def job_of(train, *, part_bytes=2**24, max_length=1000, key="k", **options):
    train = train if isinstance(train, list) else [train]
    corpus = open_corpus(DataConfig(train=[str(path) for path in train], **options), splits=("train",))
    files, reading = corpus.files("train"), corpus.reading("train")
    return EncodeJob(
        files=[str(file) for file in files],
        parts=[chunks(file, reading.format, part_bytes, columns=reading.columns) for file in files],
        read=partial(corpus.part_examples, "train"),
        pieces=FramePieces(max_length),
        key=key * 32,
        size=corpus.size("train"),
    )


def random_frames(number, width=3, seed=0):
    random = np.random.default_rng(seed)
    cases = []
    for case in range(number):
        frames = random.normal(size=(int(random.integers(1, 9)), width)).astype(np.float32)
        frames[random.random(frames.shape) < 0.1] = np.nan
        cases.append((frames, "abc"[case % 3]))
    return cases


def write_ts(path, cases):
    lines = [
        ":".join(",".join("?" if np.isnan(value) else repr(float(value)) for value in channel) for channel in frames.T)
        + f":{label}\n"
        for frames, label in cases
    ]
    path.write_text("# made up\n@timeStamps false\n@classLabel true a b c\n@data\n" + "".join(lines))
    return path


def write_index(folder, cases):
    folder.mkdir()
    for number, (frames, _) in enumerate(cases):
        np.save(folder / f"{number}.npy", frames)
    (folder / "i.tsv").write_text("".join(f"{number}.npy\t{label}\n" for number, (_, label) in enumerate(cases)))
    return folder / "i.tsv"


def holds(split, cases, places):
    frames, labels = split["frames"], split["label"]
    assert frames.values.dtype == np.float32
    assert frames.values[:].shape == (sum(len(one) for one, _ in cases), 3)
    assert frames.symbols == []
    assert frames.lengths.tolist() == [len(one) for one, _ in cases]
    assert [labels.symbols[labels.sequence(row)[0]] for row in range(len(split))] == [label for _, label in cases]
    for row, (one, _) in enumerate(cases):
        np.testing.assert_array_equal(frames.sequence(row), one)
    np.testing.assert_array_equal(frames.gather([2, 0]), np.concatenate([cases[2][0], cases[0][0]]))
    assert [split.place(row) for row in range(len(split))] == places


@pytest.mark.parametrize(("processes", "part_bytes"), [(1, 2**24), (1, 100), (2, 100)])
def test_every_format_in_any_parts(tmp_path, monkeypatch, processes, part_bytes):
    if processes == 2:
        monkeypatch.setattr(encode, "PARALLEL_BYTES", 1)
    cases = random_frames(30)
    path = write_ts(tmp_path / "a.ts", cases)
    split = encode_split(job_of(path, part_bytes=part_bytes), tmp_path / "cache")
    holds(split, cases, [f"{path}:{line}" for line in range(5, 35)])
    index = write_index(tmp_path / "set", cases)
    split = encode_split(job_of(index, part_bytes=part_bytes, key="i"), tmp_path / "cache")
    holds(split, cases, [f"{index}:{line}" for line in range(1, 31)])


def test_a_folder_is_read_sequence_by_sequence(tmp_path):
    cases = sorted(random_frames(12), key=lambda case: case[1])
    places = []
    for number, (frames, label) in enumerate(cases):
        (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "set" / label / f"{number:02}.npy", frames)
        places.append(f"{tmp_path}/set/{label}/{number:02}.npy:1")
    holds(encode_split(job_of(tmp_path / "set"), tmp_path / "cache"), cases, places)


def test_numbers_that_are_read_and_not_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MAPPED_BYTES", 1)
    cases = random_frames(9)
    path = write_ts(tmp_path / "a.ts", cases)
    holds(encode_split(job_of(path), tmp_path / "cache"), cases, [f"{path}:{line}" for line in range(5, 14)])


@pytest.mark.parametrize("part_bytes", [1, 2**24])  # a part a line, and all in one part
@pytest.mark.parametrize(
    ("third", "message"),
    [
        ("1,2:3,4:a", "frames of width 2, those before have width 3 (channels)"),
        (":::a", "a sequence without a single frame"),
    ],
)
def test_a_sequence_that_does_not_fit_is_refused_with_its_place(tmp_path, part_bytes, third, message):
    path = tmp_path / "a.ts"
    path.write_text(f"@classLabel true a\n@data\n1:2:3:a\n1:2:3:a\n{third}\n")
    with pytest.raises(UserError) as caught:
        encode_split(job_of(path, part_bytes=part_bytes), tmp_path / "cache")
    assert (str(caught.value), caught.value.code) == (f"{path}:5: {message}", 65)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_second_file_of_other_width_is_refused(tmp_path):
    first, second = write_ts(tmp_path / "a.ts", random_frames(2)), write_ts(tmp_path / "b.ts", random_frames(2, 4))
    with pytest.raises(UserError) as caught:
        encode_split(job_of([first, second]), tmp_path / "cache")
    assert str(caught.value) == f"{second}:5: frames of width 4, those before have width 3 (channels)"


def test_what_is_shortened_is_counted(tmp_path):
    cases = random_frames(30)
    split = encode_split(job_of(write_ts(tmp_path / "a.ts", cases), max_length=4), tmp_path / "cache")
    assert split.cut == sum(len(frames) > 4 for frames, _ in cases) > 0
    assert split["frames"].lengths.tolist() == [min(len(frames), 4) for frames, _ in cases]


@pytest.mark.parametrize(("given", "stored"), [("f8", "f8"), ("f4", "f4"), ("f2", "f4"), ("i8", "f4")])
def test_a_part_is_bounded_in_values(monkeypatch, given, stored):
    """Values keep the 64 bits that a reader gives them; any other numbers are stored in 32."""
    monkeypatch.setattr(encode, "_VALUES_A_PART", 100)
    examples = (Example(np.ones((10, 5), given), "a", f"x:{line}") for line in range(7))
    parts = list(encode_examples(examples, FramePieces(), 0))
    assert [len(part.lines) for part in parts] == [2, 2, 2, 1]
    assert {part.fields["frames"].values.dtype for part in parts} == {np.dtype(stored)}

"""Archives: the same run comes back, and nothing else gets in."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import resource
import tarfile
import tracemalloc

import pytest

from seqcli.errors import UserError
from seqcli.store import archive as archives
from seqcli.store.manifest import FileRecord, Manifest
from seqcli.store.runs import Store


def refused(path, store: Store, *parts: str, code: int = 65, **options) -> None:
    with pytest.raises(UserError) as caught:
        archives.unpack(path, store, **options)
    assert caught.value.code == code, str(caught.value)
    for part in parts:
        assert part in str(caught.value), str(caught.value)
    assert store.runs() == []
    assert not store.root.exists() or list(store.root.iterdir()) == []


def members(path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as tar:
        return [(member, tar.extractfile(member).read()) for member in tar]


def write(path, parts, *, format=tarfile.USTAR_FORMAT) -> None:
    with tarfile.open(path, "w:gz", format=format) as tar:
        for member, data in parts:
            tar.addfile(member, io.BytesIO(data))


def plain(name: str, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    return member, data


def promise(files: dict[str, bytes], path) -> None:
    """An archive whose contents and checksums agree, whatever they are."""
    index = Manifest(
        {name: FileRecord.of(data) for name, data in files.items()}, {"format": archives.FORMAT}
    ).to_bytes()
    write(path, [plain("ner/archive.json", index), *(plain(f"ner/{name}", data) for name, data in files.items())])


@pytest.fixture
def packed(ner, tmp_path):
    archives.pack(ner, tmp_path / "ner.tar.gz")
    return tmp_path / "ner.tar.gz"


@pytest.fixture
def other(tmp_path) -> Store:
    return Store(tmp_path / "other")


def files_of(run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file() and path.name[0] != "."}


def test_pack_is_deterministic_and_unpack_gives_the_run_back(ner, packed, other, tmp_path):
    ner.checkpoints.mkdir()
    (ner.path / ".lock").write_text("1")
    os.utime(ner.weights_path, (5, 5))
    archives.pack(ner, tmp_path / "again.tar.gz")
    assert packed.read_bytes() == (tmp_path / "again.tar.gz").read_bytes()
    first, second = archives.unpack(packed, other), archives.unpack(packed, other, "mine")
    assert (str(first), str(second), str(archives.unpack(packed, other))) == ("ner@1", "mine@1", "ner@2")
    assert files_of(first) == files_of(second) == files_of(ner)
    assert first.finished
    first.verify()


def test_copy_is_a_version_of_its_own(store, ner):
    copies = [archives.copy(ner, store, "mine"), archives.copy(ner, store, "ner")]
    assert [str(run) for run in copies] == ["mine@1", "ner@2"]
    for run in copies:
        assert files_of(run) == files_of(ner)


def test_a_damaged_run_is_not_packed(ner, tmp_path):
    ner.weights_path.write_bytes(b"x")
    with pytest.raises(UserError, match=r"model\.safetensors: damaged"):
        archives.pack(ner, tmp_path / "x.tar.gz")
    assert not (tmp_path / "x.tar.gz").exists()


def test_tar_itself_reads_the_archive(packed):
    assert [member.name for member, _ in members(packed)] == [
        "ner/archive.json",
        "ner/engine.onnx",
        "ner/environment.json",
        "ner/labels.txt",
        "ner/manifest.json",
        "ner/metrics.jsonl",
        "ner/model.safetensors",
        "ner/recipe.yaml",
        "ner/report.json",
        "ner/vocabulary.txt",
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../x.txt", "leads out"),
        ("ner/../../x.txt", "leads out"),
        ("/etc/x.txt", "leads out"),
        ("ner/sub/x.txt", "no file of a model"),
        ("pos/x.txt", "no file of a model"),
        ("ner/x.pkl", "no file of a model"),
        ("ner/model.pt", "no file of a model"),
        ("ner/model.pth", "no file of a model"),
        ("ner/pytorch_model.bin", "no file of a model"),
        ("ner/run.py", "no file of a model"),
        ("ner/.lock", "no file of a model"),
        ("ner/x.txt", "not listed"),
        ("ner/recipe.yaml", "twice"),
        ("ner/archive.json", "twice"),
    ],
)
def test_a_member_too_many_is_refused_by_name(packed, other, tmp_path, name, why):
    write(packed, [*members(packed), plain(name, b"data")])
    refused(packed, other, name, why)
    assert not (tmp_path / "x.txt").exists()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.DIRTYPE, "a folder"),
    ],
)
def test_only_plain_files_are_let_in(packed, other, kind, why):
    parts = members(packed)
    bad = tarfile.TarInfo("ner/vocabulary.txt")
    bad.type, bad.linkname = kind, "/etc/passwd"
    write(packed, [parts[0], (bad, b""), *parts[1:]])
    refused(packed, other, "ner/vocabulary.txt", why)


def test_extended_headers_are_not_read(packed, other):
    parts = members(packed)
    parts[1][0].pax_headers = {"comment": "x" * 100_000}
    write(packed, parts, format=tarfile.PAX_FORMAT)
    refused(packed, other, "no plain file")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


@pytest.mark.parametrize("name", ["model.safetensors", "engine.onnx"])
@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_under_another_name_is_refused_even_with_the_right_checksum(ner, other, tmp_path, protocol, name):
    promise(files_of(ner) | {name: pickle.dumps(Bomb(), protocol)}, tmp_path / "x.tar.gz")
    refused(tmp_path / "x.tar.gz", other, name, "is a pickle")


@pytest.mark.parametrize("name", ["../x.txt", "/x.txt", "model.pkl", "a/b.txt", "archive.json"])
def test_promised_names_are_checked_too(ner, other, tmp_path, name):
    promise(files_of(ner) | {name: b""}, tmp_path / "x.tar.gz")
    refused(tmp_path / "x.tar.gz", other, name)


@pytest.mark.parametrize("name", ["recipe.yaml", "report.json", "manifest.json"])
def test_a_model_without_its_papers_is_refused(ner, other, tmp_path, name):
    files = files_of(ner)
    del files[name]
    promise(files, tmp_path / "x.tar.gz")
    refused(tmp_path / "x.tar.gz", other, name)


def test_the_seal_of_the_run_inside_is_checked(ner, other, tmp_path):
    promise(files_of(ner) | {"labels.txt": b"O\nB-LOC\n"}, tmp_path / "x.tar.gz")
    refused(tmp_path / "x.tar.gz", other, "labels.txt")


def test_every_flipped_bit_is_found(packed, other):
    with gzip.open(packed) as handle:
        good = handle.read()
    with tarfile.open(packed) as tar:
        spans = [(member.offset_data, member.size) for member in tar if member.size]
    chance = random.Random(2)
    for _ in range(60):
        start, size = chance.choice(spans)
        bad = bytearray(good)
        bad[start + chance.randrange(size)] ^= 1 << chance.randrange(8)
        packed.write_bytes(gzip.compress(bytes(bad), 1))
        refused(packed, other)


def test_cut_archives_and_other_files(packed, other, tmp_path):
    good = packed.read_bytes()
    for size in (0, 1, 10, len(good) // 2, len(good) - 600):
        packed.write_bytes(good[:size])
        refused(packed, other)
    for bad in (b"hello", gzip.compress(b"hello"), gzip.compress(bytes(5000)), pickle.dumps({})):
        packed.write_bytes(bad)
        refused(packed, other, str(packed))
    refused(tmp_path / "gone.tar.gz", other, "cannot read", code=74)


def test_size_cap_and_bombs(ner, packed, other, tmp_path):
    refused(packed, other, "more than the 1,000 allowed", max_bytes=1000)
    # One member that says 8 GB, and zeros to go with it: nothing but its header is read.
    lying = tarfile.TarInfo("ner/vocabulary.txt")
    lying.size = 8 * 10**9
    index = members(packed)[0]
    with gzip.open(packed, "wb") as handle:
        handle.write(index[0].tobuf(tarfile.USTAR_FORMAT) + index[1] + bytes(-len(index[1]) % 512))
        handle.write(lying.tobuf(tarfile.USTAR_FORMAT) + bytes(20_000_000))
    tracemalloc.start()
    refused(packed, other, "8,000,000,000 bytes")
    # A first member of 100 MB.
    write(packed, [plain("ner/archive.json", bytes(100_000_000))])
    tracemalloc.reset_peak()
    refused(packed, other, "too long")
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def test_a_full_disk_leaves_nothing(packed, other):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # no file can grow past that, as on a full disk
    try:
        refused(packed, other, "cannot write: File too large", code=74)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_name_that_cannot_be_one(packed, other):
    refused(packed, other, "cannot be the name", code=2, name="../x")


def test_leftovers_of_a_killed_unpack_are_invisible_and_swept_when_old(packed, other):
    fresh, old = other.root / "ner" / ".half-1-aa", other.root / "ner" / ".half-2-bb"
    for folder in (fresh, old):
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text("")
    os.utime(old, (0, 0))
    assert other.runs() == []
    archives.unpack(packed, other)
    assert fresh.exists()
    assert not old.exists()
    assert json.loads((other.root / "ner" / "1" / "report.json").read_text())["task"] == "tagging"

"""Recordings with their texts: manifests, Kaldi's folders, LJSpeech; parts, paths that leave, archives unpacked."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from seqcli.data.catalogue import Unpacked, data_set
from seqcli.data.example import MediaFile
from seqcli.data.fetch.recordings import unpack
from seqcli.data.formats import Reading, guess_format, read_examples
from seqcli.data.formats.recordings import Kaldi, LJSpeech, Manifest
from seqcli.errors import ExitCode, UserError


def read(path, form="manifest", **options):
    return [(one.source, one.target) for one in read_examples(path, Reading(form, **options))]


def wrong(path, form="manifest", **options):
    with pytest.raises(UserError) as caught:
        read(path, form, **options)
    return caught.value


def test_a_manifest_of_paths_and_texts(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("a.wav\tone two\nb/c.flac\tthree\n\nd.mp3\n")
    assert read(path) == [
        (MediaFile(tmp_path / "a.wav"), "one two"),
        (MediaFile(tmp_path / "b/c.flac"), "three"),
        (MediaFile(tmp_path / "d.mp3"), None),
    ]
    assert guess_format(path) == "manifest"
    assert [(line, file.name) for line, file in Manifest(Reading()).files_named(path)] == [
        (1, "a.wav"),
        (2, "c.flac"),
        (4, "d.mp3"),
    ]


def test_a_header_names_the_columns_and_parts_have_seconds(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("client_id\tpath\tsentence\tstart\tend\n7\ta.wav\tone\t1.5\t2\n7\ta.wav\ttwo\t\t\n")
    wanted = [(MediaFile(tmp_path / "a.wav", 1.5, 2.0), "one"), (MediaFile(tmp_path / "a.wav"), "two")]
    columns = {"source": "path", "target": "sentence"}
    assert read(path, columns=columns) == wanted
    path.write_text(path.read_text().replace("client_id\tpath", "path\tclient_id").replace("7\ta.wav", "a.wav\t7"))
    assert read(path) == wanted
    path.write_text("a.wav\tx\tone\n")
    assert read(path, columns={"source": 0, "target": 2}) == [(MediaFile(tmp_path / "a.wav"), "one")]


def test_json_lines_and_their_usual_names(tmp_path):
    path = tmp_path / "train.jsonl"
    rows = [
        {"audio_filepath": "a.wav", "duration": 3.2, "text": "one"},
        {"audio": "b.wav", "offset": 1, "duration": 2.5, "transcript": "two"},
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert read(path) == [(MediaFile(tmp_path / "a.wav"), "one"), (MediaFile(tmp_path / "b.wav", 1.0, 3.5), "two")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../b.wav\tx", "'../b.wav' lies outside the folder that names it: refused"),
        ("/etc/passwd\tx", "lies outside"),
        ("link.wav\tx", "lies outside"),
        ("\tx", "no path of a recording"),
        ("{broken", "no JSON object"),
        ('{"text": "a"}', "no path of a recording"),
        ('{"audio": "a.wav", "start": "x"}', "'x' is no number of seconds (start)"),
        ('{"audio": "a.wav", "start": 3, "end": 2}', "a part from 3 to 2 s is none"),
        ('{"audio": "a.wav", "text": 3}', "the text is no string"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "link.wav").symlink_to(tmp_path / "secret.wav")
    path = tmp_path / "inner" / "train.tsv"
    path.write_text(f"a.wav\tone\n{line}\n")
    error = wrong(path)
    assert message in error.message
    assert (error.code, error.line) == (ExitCode.DATA, 2)


def test_columns_that_are_not_there(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("path\tsentence\na.wav\tone\n")
    assert "no column 'sentense'" in wrong(path, columns={"source": "path", "target": "sentense"}).message
    assert wrong(path, columns={"sauce": "path"}).code == ExitCode.USAGE


def test_kaldi_folders_with_and_without_segments(tmp_path):
    (tmp_path / "text").write_text("u1 hello world\nu2 bye\n")
    (tmp_path / "wav.scp").write_text("u1 a.wav\nu2 b.wav\nr1 long.wav\n")
    (file,) = Kaldi(Reading("kaldi")).expand(tmp_path)
    assert read(file, "kaldi") == [
        (MediaFile(tmp_path / "a.wav"), "hello world"),
        (MediaFile(tmp_path / "b.wav"), "bye"),
    ]
    before = Kaldi(Reading("kaldi")).fingerprint(file)
    (tmp_path / "segments").write_text("u1 r1 0.5 2\nu2 r1 2 3.25\n")
    assert read(file, "kaldi") == [
        (MediaFile(tmp_path / "long.wav", 0.5, 2.0), "hello world"),
        (MediaFile(tmp_path / "long.wav", 2.0, 3.25), "bye"),
    ]
    assert Kaldi(Reading("kaldi")).fingerprint(file) != before


@pytest.mark.parametrize(
    ("scp", "message"),
    [
        ("u1 sph2pipe a.sph |", "is made by a command, and seqcli runs none"),
        ("u2 a.wav", "'u1' is not in wav.scp"),
        ("u1 ../a.wav", "lies outside"),
    ],
)
def test_kaldi_folders_that_cannot_be_read(tmp_path, scp, message):
    (tmp_path / "text").write_text("u1 hello\n")
    (tmp_path / "wav.scp").write_text(f"{scp}\n")
    assert message in wrong(tmp_path / "text", "kaldi").message
    (tmp_path / "wav.scp").unlink()
    with pytest.raises(UserError, match=r"a folder without 'wav.scp'"):
        Kaldi(Reading("kaldi")).expand(tmp_path)


def test_ljspeech_takes_the_text_in_words(tmp_path):
    (tmp_path / "metadata.csv").write_text('LJ1|In 1455|In "fourteen fifty-five"\nLJ2|plain\n')
    (file,) = LJSpeech(Reading("ljspeech")).expand(tmp_path)
    assert read(file, "ljspeech") == [
        (MediaFile(tmp_path / "wavs/LJ1.wav"), 'In "fourteen fifty-five"'),
        (MediaFile(tmp_path / "wavs/LJ2.wav"), "plain"),
    ]
    file.write_text("LJ1 no bar\n")
    assert "no '|'" in wrong(file, "ljspeech").message
    file.write_text("../../x|y\n")
    assert "lies outside" in wrong(file, "ljspeech").message


def archive(path: Path, names: list[str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"RIFF"))
    return path


def test_an_archive_becomes_a_folder_and_a_manifest_of_each_split(tmp_path):
    names = [f"x/{digit}_ann_{number}.wav" for digit in (0, 7) for number in (0, 5, 12)]
    made = unpack(data_set("fsdd").made, archive(tmp_path / "a.tar.gz", [*names, "x/README"]), tmp_path)
    assert made == {
        "test.tsv": "recordings/0_ann_0.wav\tzero\nrecordings/7_ann_0.wav\tseven\n",
        "dev.tsv": "recordings/0_ann_5.wav\tzero\nrecordings/7_ann_5.wav\tseven\n",
        "train.tsv": "recordings/0_ann_12.wav\tzero\nrecordings/7_ann_12.wav\tseven\n",
    }
    assert sorted(file.name for file in (tmp_path / "recordings").iterdir()) == sorted(name[2:] for name in names)


def test_shares_cut_the_names_in_their_order(tmp_path):
    rule = Unpacked(("a",), r"([01_]+)\.wav", {"0": "no", "1": "yes"}, "r", share={"a": (0, 0.5), "b": (0.5, 1)})
    names = ["1_1.wav", "0_1.wav", "1_0.wav", "0_0.wav"]
    made = unpack(rule, archive(tmp_path / "a.tar.gz", names), tmp_path)
    assert made == {"a": "r/0_0.wav\tno no\nr/0_1.wav\tno yes\n", "b": "r/1_0.wav\tyes no\nr/1_1.wav\tyes yes\n"}


@pytest.mark.mirror
@pytest.mark.parametrize(("name", "sizes"), [("fsdd", (2400, 300, 300)), ("yesno", (25, 5, 30))])
def test_the_splits_of_the_catalogue(cache, mirror, name, sizes):
    from seqcli.data.corpus import open_corpus
    from seqcli.recipe.data import DataConfig

    corpus = open_corpus(DataConfig(corpus=name))
    found = {split: [*corpus.examples(split)] for split in corpus.splits}
    assert tuple(map(len, found.values())) == sizes
    files = [one.source.path for split in found.values() for one in split]
    assert len(set(files)) == sum(sizes)
    assert all(file.is_file() for file in files)

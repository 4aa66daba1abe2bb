"""The verb caption: images, rows of features, lists on stdin, bad ones, knobs, pictures of attention."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from media_files import picture, put_small_encoder
from tiny import run_inside
from tiny_images import BY_HEART, MODELS, grid_of, image_recipe, pictures, vector_of

from seqcli.cli.attention import lit
from seqcli.data.glyphs import places
from seqcli.errors import ExitCode
from seqcli.pipeline.caption import Picture, pixels_of
from seqcli.recipe.dump import dump_recipe

NAMES = [name for name, _ in pictures()[:3]]


@pytest.fixture(scope="module")
def captioners_folder(tmp_path_factory):
    """``vector`` and ``grid``, which know their images by heart."""
    folder = tmp_path_factory.mktemp("captioners")
    before = os.getcwd()
    os.chdir(folder)
    try:
        for name, model in (("vector", "state"), ("grid", "grid-attention")):
            recipe = image_recipe(folder / name, *MODELS[model], *BY_HEART, f"name={name}")
            (folder / f"{name}.yaml").write_text(dump_recipe(recipe))
            result = run_inside("train", f"{name}.yaml", "-q")
            assert result.code == 0, result.err
    finally:
        os.chdir(before)
    np.save(folder / "vectors.npy", np.stack([vector_of(name) for name in NAMES]))
    np.save(folder / "grids.npy", np.stack([grid_of(name) for name in NAMES]))
    np.save(folder / "one.npy", grid_of(NAMES[0])[None])
    return folder


@pytest.fixture
def captioners(captioners_folder, tmp_path, monkeypatch):
    folder = tmp_path / "captioners"
    shutil.copytree(captioners_folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return folder


def right(line, name):
    colour, thing, _ = name.split("-")
    return colour in line and thing in line


def test_a_caption_for_each_row_of_features_with_its_name_in_front(captioners, seqcli):
    result = seqcli("caption", "vector", "vectors.npy")
    assert (result.code, result.err) == (0, "")
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert [name for name, _ in rows] == ["vectors.npy#0", "vectors.npy#1", "vectors.npy#2"]
    assert all(right(text, name) for (_, text), name in zip(rows, NAMES, strict=True))


def test_the_newest_captioner_is_taken_where_none_is_named(captioners, seqcli):
    result = seqcli("caption", "grids.npy")
    assert result.code == 0
    assert "using grid@1" in result.err
    assert len(result.out.splitlines()) == 3


def test_paths_come_from_stdin(captioners, seqcli):
    result = seqcli("caption", "vector", "-", stdin=b"vectors.npy\n\nvectors.npy\n")
    assert len(result.out.splitlines()) == 6


def test_several_captions_with_their_scores_the_best_first(captioners, seqcli):
    result = seqcli("caption", "vector", "vectors.npy", "--n-best", "3", "--scores")
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert [row[0] for row in rows] == [f"vectors.npy#{number}" for number in (0, 0, 0, 1, 1, 1, 2, 2, 2)]
    for at in (0, 3, 6):
        scores = [float(row[1]) for row in rows[at : at + 3]]
        assert scores == sorted(scores, reverse=True)


def test_json_has_all_there_is(captioners, seqcli):
    result = seqcli("caption", "vector", "vectors.npy", "--jsonl", "--beam", "2")
    document = json.loads(result.out.splitlines()[0])
    assert document["image"] == "vectors.npy#0"
    (one,) = document["captions"]
    assert one["tokens"] == one["text"].split()
    assert one["score"] == pytest.approx(one["log_prob"] / (len(one["tokens"]) + 1), rel=1e-2)


def test_two_models_write_one_caption(captioners, seqcli):
    alone = seqcli("caption", "vector", "vectors.npy")
    result = seqcli("caption", "vector", "vectors.npy", "--with", "vector@1")
    assert (result.code, result.out) == (0, alone.out)


def test_the_search_may_be_bent(captioners, seqcli):
    result = seqcli("caption", "vector", "vectors.npy", "--max-length", "2")
    assert all(len(line.split("\t")[1].split()) <= 2 for line in result.out.splitlines())
    drawn = [
        seqcli("caption", "vector", "vectors.npy", "--sample", "--temperature", "2", "--seed", "3") for _ in range(2)
    ]
    assert drawn[0].out == drawn[1].out
    assert drawn[0].code == 0


def test_where_each_word_looked_is_drawn(captioners, seqcli):
    pytest.importorskip("matplotlib")
    result = seqcli("caption", "grid", "one.npy", "--attention", "looked.png")
    assert result.code == 0, result.err
    assert right(result.out, NAMES[0])
    assert (captioners / "looked.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_seen_beneath_the_light():
    """As it is where the greatest weight is, dim where none is, and where it is dark the light itself is seen."""
    pixels = np.full((40, 40, 3), 200, np.uint8)
    pixels[:, :20] = 0
    weights = np.zeros((2, 2), np.float32)
    weights[0] = 0.5
    shown = lit(weights, pixels)
    assert shown.shape == (240, 240, 3)
    assert shown[0, -1, 2] == pytest.approx(200 / 255, abs=0.02)
    np.testing.assert_allclose(shown[-1, -1], 0.35 * 200 / 255, atol=1e-6)
    assert shown[0, 0, 0] > shown[0, 0, 2] > 0
    assert not shown[-1, 0].any()
    assert 0 <= shown.min() <= shown.max() <= 1
    grey = lit(weights, pixels[:, :, 0])
    np.testing.assert_allclose(grey, shown)
    assert lit(weights, None).shape == (224, 224, 3)


def test_places_of_pixels_are_the_picture_and_features_are_none():
    drawn = np.random.default_rng(1).integers(0, 256, (32, 32)).astype(np.uint8)
    np.testing.assert_array_equal(pixels_of(Picture("", places(drawn).astype(np.float32))), drawn)
    assert pixels_of(Picture("", places(drawn) / np.float32(3))) is None
    assert pixels_of(Picture("", places(drawn) - np.float32(40))) is None
    assert pixels_of(Picture("", np.zeros((16, 64), np.float32))) is None
    assert pixels_of(Picture("", np.ones((49, 96), np.float32))) is None
    assert pixels_of(Picture("", np.ones((1, 1280), np.float32))) is None


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("vector",), "no image is given", ExitCode.USAGE),
        (("vector", "none.jpg"), "none.jpg: there is no such file", ExitCode.IO),
        (("vector", "vectors.npy", "--attention", "a.png"), "draws one image, and 3 are given", ExitCode.USAGE),
        (("grid", "one.npy", "--attention", "a.txt"), "is none of .png", ExitCode.USAGE),
        (("vector", "grids.npy"), "4 vectors for one picture", ExitCode.DATA),
        (("vector", "narrow.npy"), "vectors of 5 values, but the model was trained on vectors of 8", ExitCode.DATA),
        (("vector", "empty"), "no image lies in this folder", ExitCode.DATA),
        (("vector", "vectors.npy", "--with", "grid"), "cannot write together", ExitCode.USAGE),
    ],
)
def test_what_cannot_be_captioned(captioners, seqcli, arguments, message, code):
    (captioners / "empty").mkdir()
    np.save(captioners / "narrow.npy", np.zeros((2, 5)))
    result = seqcli("caption", *arguments)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert "Traceback" not in result.err


def test_those_before_a_bad_image_are_answered_and_with_skip_bad_the_rest_too(captioners, seqcli):
    (captioners / "bad.jpg").write_bytes(b"%PDF-1.4 no image")
    listed = b"vectors.npy\nbad.jpg\nvectors.npy\n"
    result = seqcli("caption", "vector", "-", stdin=listed)
    assert (result.code, len(result.out.splitlines())) == (ExitCode.DATA, 3)
    assert "bad.jpg" in result.err
    result = seqcli("caption", "vector", "-", "--skip-bad", stdin=listed)
    assert (result.code, len(result.out.splitlines())) == (0, 6)
    assert "skipped: bad.jpg" in result.err


def test_it_starts_without_torch(captioners, shell):
    code = "import sys; from seqcli.cli.app import main\ntry: main(['caption', 'vector', 'vectors.npy'])\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    import subprocess
    import sys

    from tiny import environment

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(), text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_a_model_of_stored_grids_takes_photographs_by_the_projection_that_made_them(
    tmp_path, monkeypatch, cache, seqcli
):
    """The projection lies in the run, so that the file it came from may go; captions are those of the stored grid."""
    from seqcli.data.example import MediaFile
    from seqcli.media.features import extractor
    from seqcli.recipe.features import EfficientNetLite0Config

    monkeypatch.chdir(tmp_path)
    put_small_encoder(cache)
    chance = np.random.default_rng(1)
    np.savez("pca.npz", mean=chance.normal(size=160), basis=chance.normal(size=(160, 6)), scale=np.full(6, 0.2))
    (tmp_path / "photos").mkdir()
    sees = extractor(EfficientNetLite0Config(projection="pca.npz"))
    for number in range(4):
        picture(240, 320, number).save(tmp_path / f"photos/{number}.jpg")
    grids = np.stack([sees.read(MediaFile(tmp_path / f"photos/{number}.jpg")) for number in range(4)])
    np.save("grids.npy", grids)
    (tmp_path / "names.txt").write_text("".join(f"{number}.jpg\n" for number in range(4)))
    words = ("zero", "one", "two", "three")
    (tmp_path / "train.tsv").write_text("".join(f"{at}.jpg\tPicture {word} .\n" for at, word in enumerate(words)))
    settings = (
        *("data.corpus=null", "data.dev_share=null", "data.format=captions", "data.images=grids.npy"),
        *("source.features.projection=pca.npz", "training.epochs=60", "training.min_steps=0", "training.average=null"),
        *("model.decoder.dim=16", "model.embedder.dim=16", "training.optimizer.lr=0.02", "task.baselines=[]"),
        *("target.vocabulary.min_count=1", "training.evaluate_every=60", "training.schedule={kind: constant}"),
        *("model.embedder.dropout=0", "model.decoder.dropout=0", "model.head.label_smoothing=0"),
    )
    options = [argument for value in settings for argument in ("--set", value)]
    trained = seqcli(
        "train", "caption-flickr8k-attention", "--name", "mine", "--data", "train.tsv", "train.tsv", *options
    )
    assert trained.code == 0, trained.err
    (tmp_path / "pca.npz").rename("elsewhere.npz")
    stored = seqcli("caption", "mine", "grids.npy")
    assert [line.split("\t")[1] for line in stored.out.splitlines()] == [f"picture {word} ." for word in words]
    found = seqcli("caption", "mine", "photos")
    assert (found.code, found.err) == (0, "")
    assert [line.split("\t")[1] for line in found.out.splitlines()] == [f"picture {word} ." for word in words]
    looked = seqcli("caption", "mine", "photos/2.jpg", "--attention", "looked.png")
    assert (looked.code, looked.out) == (0, "picture two .\n")
    (run,) = tmp_path.rglob("projection.npz")
    assert "projection: projection.npz" in (run.parent / "recipe.yaml").read_text()
    run.write_bytes(run.read_bytes()[:-9])
    damaged = seqcli("caption", "mine", "photos/2.jpg")
    assert (damaged.code, "projection.npz" in damaged.err) == (ExitCode.DATA, True)


def test_photographs_of_ones_own_by_the_recipe_of_others(tmp_path, monkeypatch, cache, seqcli):
    monkeypatch.chdir(tmp_path)
    put_small_encoder(cache)
    (tmp_path / "photos").mkdir()
    for number in range(4):
        picture(240, 320, number).save(tmp_path / f"photos/{number}.jpg")
    lines = [f"{number}.jpg\tPicture number {number} of four .\n" for number in range(4)]
    (tmp_path / "train.tsv").write_text("".join(lines))
    (tmp_path / "dev.tsv").write_text("".join(lines[:2]))
    own = ("data.corpus=null", "data.dev_share=null", "data.format=captions", "data.images=photos")
    short = ("training.max_steps=2", "training.min_steps=0", "model.decoder.dim=8", "model.embedder.dim=8")
    settings = [argument for value in (*own, *short) for argument in ("--set", value)]
    trained = seqcli("train", "caption-flickr8k", "--name", "mine", "--data", "train.tsv", "dev.tsv", *settings)
    assert trained.code == 0, trained.err
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "photos/0.jpg").read_bytes()[:900])
    result = seqcli("caption", "mine", "photos/1.jpg", "broken.jpg", "photos/2.jpg")
    assert (result.code, result.err.count("\n"), len(result.out.splitlines())) == (ExitCode.DATA, 1, 1)
    assert "broken.jpg: is a broken image" in result.err
    result = seqcli("caption", "mine", "photos", "broken.jpg", "--skip-bad")
    assert (result.code, len(result.out.splitlines())) == (0, 4)
    (tmp_path / "other.tsv").write_text("0.jpg\tA picture .\n../broken.jpg\tAnother .\n")
    result = seqcli("evaluate", "mine", "other.tsv")
    assert (result.code, "other.tsv:2" in result.err) == (ExitCode.DATA, True), result.err

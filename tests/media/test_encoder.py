"""EfficientNet-Lite0: its graph against torch, where it is kept, and against stored features of real photographs."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from media_files import ENCODER_BLOCKS, picture, random_weights, write_clip
from torch.nn import functional

from seqcli.data.example import MediaFile
from seqcli.engines.onnx_efficientnet import graph_of_file, graph_of_weights
from seqcli.errors import UserError
from seqcli.media import encoder
from seqcli.media.features import extractor
from seqcli.media.image import read_image
from seqcli.recipe.features import EfficientNetLite0Config, EncodedFramesConfig


def by_torch(weights, pixels_BHWC):
    """The same network, layer by layer, with TensorFlow's padding by hand."""

    def convolution(x, name, norm, stride=1, bounded=True):
        kernel = weights[f"{name}.weight"]
        needed = [max((-(-size // stride) - 1) * stride + kernel.shape[-1] - size, 0) for size in x.shape[2:]]
        x = functional.pad(x, (needed[1] // 2, needed[1] - needed[1] // 2, needed[0] // 2, needed[0] - needed[0] // 2))
        x = functional.conv2d(x, kernel, stride=stride, groups=x.shape[1] if kernel.shape[1] == 1 else 1)
        parts = [weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        x = functional.batch_norm(x, *parts, training=False, eps=1e-3)
        return functional.relu6(x) if bounded else x

    x = (torch.from_numpy(pixels_BHWC).float().permute(0, 3, 1, 2) - 127) / 128
    x = convolution(x, "_conv_stem", "_bn0", 2)
    for number, (_, stride, wider, out) in enumerate(ENCODER_BLOCKS):
        name, inner = f"_blocks.{number}.", x
        if wider > 1:
            inner = convolution(inner, f"{name}_expand_conv", f"{name}_bn0")
        inner = convolution(inner, f"{name}_depthwise_conv", f"{name}_bn1", stride)
        inner = convolution(inner, f"{name}_project_conv", f"{name}_bn2", bounded=False)
        x = x + inner if stride == 1 and x.shape[1] == out else inner
    return convolution(x, "_conv_head", "_bn1").flatten(2).transpose(1, 2).numpy()


def pictures(count):
    return np.stack([np.asarray(picture(224, 224, seed)) for seed in range(count)])


def test_the_graph_is_the_network():
    weights = random_weights()
    pixels_BHWC = pictures(2)
    session = onnxruntime.InferenceSession(graph_of_weights(weights), providers=["CPUExecutionProvider"])
    (grids_BPD,) = session.run(None, {"pixels_BHWC": pixels_BHWC})
    expected = by_torch(weights, pixels_BHWC)
    assert grids_BPD.shape == expected.shape == (2, 49, 160)
    assert expected.std() > 0.1
    np.testing.assert_allclose(grids_BPD, expected, atol=5e-4)


def test_weights_are_read_as_data(tmp_path):
    """A pickle that runs something is refused, not run."""

    class Runs:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "was run"),))

    (tmp_path / "w.pth").write_bytes(pickle.dumps({"_conv_stem.weight": Runs()}, protocol=2))
    with pytest.raises(pickle.UnpicklingError):
        graph_of_file(tmp_path / "w.pth")
    assert not (tmp_path / "was run").exists()


@pytest.fixture
def small(tmp_path, cache, monkeypatch):
    """The random network in place of the published one."""
    torch.save(random_weights(), tmp_path / "w.pth")
    asked = []
    monkeypatch.setattr(encoder, "obtain", lambda *args: asked.append(args[1]) or tmp_path / "w.pth")
    encoder._session.cache_clear()
    yield asked
    encoder._session.cache_clear()


def test_the_graph_is_made_once_and_kept(small):
    first = encoder.encode(pictures(1))
    path = encoder.graph_path()
    encoder._session.cache_clear()
    np.testing.assert_array_equal(encoder.encode(pictures(1)), first)
    assert encoder.graph_path() == path
    assert len(small) == 1


def test_a_damaged_graph_is_made_anew(small):
    path = encoder.graph_path()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert encoder.graph_path() == path
    assert len(small) == 2
    assert path.read_bytes() != data


def test_several_pictures_are_each_as_alone(small):
    both = encoder.encode(pictures(2))
    np.testing.assert_allclose(both[1], encoder.encode(pictures(2)[1:])[0], atol=1e-5)


def test_features_of_pictures_and_of_clips(small, tmp_path):
    picture().save(tmp_path / "a.png")
    grid_PD = extractor(EfficientNetLite0Config()).read(MediaFile(tmp_path / "a.png"))
    np.testing.assert_array_equal(grid_PD, encoder.encode(read_image(MediaFile(tmp_path / "a.png"))[None])[0])
    clip = write_clip(tmp_path / "a.mp4", [number * 10 for number in range(20)], fps=10, size=(224, 224))
    frames_TD = extractor(EncodedFramesConfig(fps=10)).read(MediaFile(clip))
    assert frames_TD.shape == (20, 160)
    even = np.full((1, 224, 224, 3), 190, np.uint8)
    np.testing.assert_allclose(frames_TD[-1], encoder.encode(even)[0].mean(0), atol=0.1)
    assert np.abs(frames_TD[0] - frames_TD[-1]).max() > 0.2


def projection(channels=160, values=5):
    chance = np.random.default_rng(1)
    sizes = {"mean": channels, "basis": (channels, values), "scale": values}
    return {name: chance.normal(size=size).astype(np.float32) for name, size in sizes.items()}


def test_places_are_projected_where_the_recipe_names_a_file(small, tmp_path):
    picture().save(tmp_path / "a.png")
    file, arrays = MediaFile(tmp_path / "a.png"), projection()
    np.savez(tmp_path / "p.npz", **arrays)
    plain = extractor(EfficientNetLite0Config()).read(file)
    found = extractor(EfficientNetLite0Config(projection=str(tmp_path / "p.npz"))).read(file)
    wanted = (plain.astype(np.float64) - arrays["mean"]) @ arrays["basis"] / arrays["scale"]
    assert (found.shape, found.dtype) == ((49, 5), np.float32)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
    np.savez(tmp_path / "q.npz", mean=arrays["mean"], basis=arrays["basis"] / arrays["scale"])
    np.testing.assert_allclose(
        extractor(EfficientNetLite0Config(projection=str(tmp_path / "q.npz"))).read(file), wanted, rtol=1e-3, atol=1e-4
    )


def test_a_projection_is_known_by_what_is_in_it(tmp_path):
    """The same bytes elsewhere are the same features; others of the same name are not; none is the key of old."""
    np.savez(tmp_path / "p.npz", **projection())
    one = extractor(EfficientNetLite0Config(projection=str(tmp_path / "p.npz")))
    (tmp_path / "run").mkdir()
    assert one.save(tmp_path / "run") == ["projection.npz"]
    other = extractor(EfficientNetLite0Config(projection=str(tmp_path / "run" / "projection.npz")))
    assert one.key() == other.key() != extractor(EfficientNetLite0Config()).key()
    assert extractor(EfficientNetLite0Config()).key() == [{"kind": "efficientnet-lite0"}, 1]
    before = one.key()
    np.savez(tmp_path / "p.npz", **projection(values=6))
    assert one.key() != before


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mean": np.zeros(160)}, "holds no projection: 'basis is not a file in the archive'"),
        ({**projection(), "mean": np.zeros(7)}, r"mean is \[7\], basis \[160, 5\], scale \[5\], not"),
        ({**projection(), "scale": np.zeros(5)}, "a scale is 0"),
        ({**projection(), "basis": np.full((160, 5), np.nan)}, "a value is no number"),
        ({**projection(), "mean": np.array(["a"] * 160)}, "holds no projection: could not convert"),
        (
            {**projection(), "basis": np.array([[None] * 5] * 160)},
            "holds no projection: Object arrays cannot be loaded",
        ),
        (projection(32), "projects 32 channels, and the encoder has 160"),
    ],
)
def test_a_file_that_holds_no_projection(small, tmp_path, arrays, message):
    picture().save(tmp_path / "a.png")
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(UserError, match=message) as caught:
        extractor(EfficientNetLite0Config(projection=str(tmp_path / "p.npz"))).read(MediaFile(tmp_path / "a.png"))
    assert (caught.value.code, caught.value.file) == (65, str(tmp_path / "p.npz"))


def test_a_projection_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="No such file") as caught:
        extractor(EfficientNetLite0Config(projection=str(tmp_path / "p.npz"))).key()
    assert caught.value.code == 74


def test_the_encoder_runs_without_torch(small, tmp_path):
    encoder.graph_path()
    picture().save(tmp_path / "a.png")
    program = (
        "import sys; from pathlib import Path; from seqcli.data.example import MediaFile\n"
        "from seqcli.media.features import extractor; from seqcli.recipe.features import EfficientNetLite0Config\n"
        "print(extractor(EfficientNetLite0Config()).read(MediaFile(Path(sys.argv[1]))).shape)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "a.png"], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("(49, 160)\n", 0), done.stderr


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The graph of the published weights, where they can be fetched."""
    before = os.environ["SEQCLI_CACHE"]
    os.environ["SEQCLI_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    encoder._session.cache_clear()
    try:
        yield encoder.graph_path()
    except UserError as error:
        pytest.skip(f"the published weights cannot be fetched: {error}")
    finally:
        os.environ["SEQCLI_CACHE"] = before
        encoder._session.cache_clear()


def test_the_published_network_has_its_size(published):
    assert encoder.encode(pictures(1)).shape == (1, 49, encoder.CHANNELS)


@pytest.mark.mirror
def test_stored_features_of_the_same_photographs(published):
    folder = Path(os.environ.get("SEQCLI_MIRROR", "")) / "flickr8k"
    if not (folder / "images-dev400.tar").is_file():
        pytest.skip("needs flickr8k/images-dev400.tar in SEQCLI_MIRROR")
    row_of = {name: row for row, name in enumerate((folder / "names.txt").read_text().split("\n"))}
    stored = np.load(folder / "lite0-pool.npy", mmap_mode="r")
    worst, count = 0.0, 0
    with tarfile.open(folder / "images-dev400.tar") as archive:
        for member in archive:
            if member.isfile() and count < 100:
                data = io.BytesIO(archive.extractfile(member).read()).getvalue()
                mean_D = encoder.encode(read_image(data)[None])[0].mean(0)
                worst = max(worst, np.abs(mean_D - stored[row_of[Path(member.name).name]]).max())
                count += 1
    assert count == 100
    assert worst < 1e-2


@pytest.mark.mirror
def test_photographs_projected_are_the_grids_that_are_stored(published):
    """Within half a step of the eight bits that they are stored in, where they are not cut at 127."""
    mirror = Path(os.environ.get("SEQCLI_MIRROR", ""))
    if not (mirror / "flickr8k-grid/pca.npz").is_file():
        pytest.skip("needs flickr8k and flickr8k-grid in SEQCLI_MIRROR")
    names = (mirror / "flickr8k/names.txt").read_text().split()
    grids = np.load(mirror / "flickr8k-grid/grid96-int8.npy", mmap_mode="r")
    sees = extractor(EfficientNetLite0Config(projection=str(mirror / "flickr8k-grid/pca.npz")))
    with tarfile.open(mirror / "flickr8k/images-dev400.tar") as archive:
        members = [one for one in archive.getmembers() if one.name.endswith(".jpg")]
        for member in members[::40]:
            pixels = read_image(archive.extractfile(member).read())
            found = sees.projection.of(encoder.encode(pixels[None])[0])
            stored = grids[names.index(Path(member.name).name)]
            np.testing.assert_allclose(np.clip(found, -127, 127), stored, atol=0.51)

"""Photographs of every make as 224 x 224 pixels, in bounded memory, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_files import picture
from PIL import Image

from seqcli.data.example import MediaFile
from seqcli.errors import ExitCode, UserError
from seqcli.media.image import MAX_PIXELS, read_image


def saved(folder, image, name="a.png", **options):
    image.save(folder / name, **options)
    return MediaFile(folder / name)


def refused(file):
    with pytest.raises(UserError) as caught:
        read_image(file)
    return caught.value


def mean_difference(one, other):
    return np.abs(one.astype(int) - other.astype(int)).mean()


@pytest.fixture
def plain(tmp_path):
    """The pixels of the picture as png."""
    return read_image(saved(tmp_path, picture()))


def test_a_picture_of_the_size_stays_as_it_is(tmp_path):
    image = picture(224, 224)
    np.testing.assert_array_equal(read_image(saved(tmp_path, image)), np.asarray(image))


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.jpg", {"quality": 95}), ("a.webp", {"quality": 95}), ("a.gif", {}), ("a.bmp", {}), ("a.tif", {})],
)
def test_every_format_gives_the_same_picture(tmp_path, plain, name, options):
    assert mean_difference(read_image(saved(tmp_path, picture(), name, **options)), plain) < 3


def test_cmyk_and_palette(tmp_path, plain):
    assert mean_difference(read_image(saved(tmp_path, picture().convert("CMYK"), "a.jpg", quality=95)), plain) < 3
    assert mean_difference(read_image(saved(tmp_path, picture().quantize(64))), plain) < 3


def test_what_is_transparent_is_white(tmp_path, plain):
    half = picture()
    half.putalpha(128)
    assert mean_difference(read_image(saved(tmp_path, half)), (plain.astype(int) * 128 + 255 * 127) // 255) < 1.5
    gone = picture()
    gone.putalpha(0)
    assert (read_image(saved(tmp_path, gone)) == 255).all()
    two = picture().convert("L").quantize(2)
    assert (read_image(saved(tmp_path, two, transparency=0)) == 255).any()


def test_grey_of_1_8_and_16_bits(tmp_path):
    grey = picture().convert("L")
    expected = read_image(saved(tmp_path, grey))
    assert (expected[..., 0] == expected[..., 2]).all()
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert mean_difference(read_image(saved(tmp_path, deep)), expected) < 1
    assert read_image(saved(tmp_path, Image.new("1", (9, 5), 1))).min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(tmp_path, plain, orientation):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = picture().transpose(undo[orientation]) if orientation in undo else picture()
    assert mean_difference(read_image(saved(tmp_path, lying, exif=exif)), plain) < 1


def test_one_pixel(tmp_path):
    assert (read_image(saved(tmp_path, Image.new("RGB", (1, 1), "red"))) == [255, 0, 0]).all()


def test_bytes_are_read_as_a_file_is(tmp_path, plain):
    np.testing.assert_array_equal(read_image(saved(tmp_path, picture()).path.read_bytes()), plain)


def test_a_huge_jpg_is_decoded_small(tmp_path):
    """12,000 x 9,000 pixels would be 432 MB; and no warning of Pillow's comes out."""
    saved(tmp_path, Image.new("RGB", (12000, 9000), (10, 200, 30)), "a.jpg")
    program = (
        "import resource, sys; from pathlib import Path; from seqcli.data.example import MediaFile\n"
        "from seqcli.media.image import read_image\n"
        "import PIL.Image; before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert abs(read_image(MediaFile(Path(sys.argv[1]))).astype(int) - [10, 200, 30]).max() < 3\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "a.jpg"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) < 60


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    bomb = saved(tmp_path, Image.new("1", (30000, 20000)))
    assert bomb.path.stat().st_size < 100_000
    error = refused(bomb)
    assert error.code == ExitCode.DATA
    assert "too many pixels" in str(error)
    assert MAX_PIXELS > 12000 * 9000
    monkeypatch.setattr("seqcli.media.image.MAX_PIXELS", 500)
    assert "30 x 20 pixels; at most 500 are decoded" in str(refused(saved(tmp_path, Image.new("RGB", (30, 20)))))


def test_no_image_names_its_first_bytes(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"%PDF-1.7 and more")
    error = refused(MediaFile(tmp_path / "a.jpg"))
    assert error.code == ExitCode.DATA
    assert (
        str(error)
        == f"{tmp_path}/a.jpg: is no image that can be read: it begins with 25 50 44 46 2d 31 2e 37 '%PDF-1.7'"
    )


def test_a_broken_jpg(tmp_path):
    file = saved(tmp_path, picture(), "a.jpg")
    file.path.write_bytes(file.path.read_bytes()[:2000])
    assert "is a broken image" in str(refused(file))


def test_nothing_and_floats(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    assert "the file is empty" in str(refused(MediaFile(tmp_path / "a.jpg")))
    assert "there is no such file" in str(refused(MediaFile(tmp_path / "none.jpg")))
    floats = Image.fromarray(np.random.default_rng(0).random((9, 9)).astype(np.float32))
    assert "no numbers of 8 or 16 bits" in str(refused(saved(tmp_path, floats, "a.tif")))


def test_a_package_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    error = refused(MediaFile(tmp_path / "a.jpg"))
    assert (error.code, "pip install 'seqcli[vision]'" in str(error)) == (ExitCode.USAGE, True)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP"]), st.floats(0, 1), st.binary(min_size=1, max_size=4))
def test_no_bytes_break_the_reader(form, place, noise):
    """Pictures with some bytes changed: a picture, or an error in one line."""
    import io

    handle = io.BytesIO()
    picture(16, 16).save(handle, form)
    data = bytearray(handle.getvalue())
    at = round(place * (len(data) - 1))
    data[at : at + len(noise)] = noise
    for changed in (bytes(data), bytes(data[:at]), noise + bytes(data)):
        try:
            assert read_image(changed).shape == (224, 224, 3)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
            assert error.code == ExitCode.DATA  # noqa: PT017

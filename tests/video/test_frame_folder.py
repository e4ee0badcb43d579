import os

import cv2
import numpy as np
import pytest

from i3d_tf.video.errors import VideoError
from i3d_tf.video.frame_folder import iter_pictures, picture_paths, picture_size

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
SMOOTH = cv2.GaussianBlur(PICTURE, (0, 0), 4)


def encode(picture, suffix=".png"):
    return cv2.imencode(suffix, picture[..., ::-1])[1].tobytes()


def test_picture_paths_are_in_the_order_of_their_last_numbers(tmp_path):
    names = ["b_2.jpg", "v1_10.png", "a 3.JPEG", "001.png"]
    for name in (*names, "notes.txt", ".4.png"):
        (tmp_path / name).touch()
    found = [path.name for path in picture_paths(tmp_path)]
    assert found == ["001.png", "b_2.jpg", "a 3.JPEG", "v1_10.png"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["1.png", "cover.jpg"], "its pictures must be numbered, and cover.jpg is not"),
        (["a1.png", "b01.jpg"], "a1.png and b01.jpg have the same number"),
        ([], "it is a folder without pictures"),
        (["flow_x_1.png"], "it is a folder without pictures"),
        (["9" * 19 + ".png"], "its pictures must be numbered"),
    ],
)
def test_picture_paths_refuses_names_without_an_order(tmp_path, names, reason):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(VideoError, match=reason):
        picture_paths(tmp_path)


def test_picture_paths_of_a_missing_folder(tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        picture_paths(tmp_path / "none")


def test_iter_pictures_gives_rgb(tmp_path):
    (tmp_path / "1.png").write_bytes(encode(PICTURE))
    (tmp_path / "2.jpg").write_bytes(encode(SMOOTH, ".jpg"))
    (tmp_path / "3.png").write_bytes(cv2.imencode(".png", PICTURE[..., 0])[1].tobytes())
    first, second, third = iter_pictures(tmp_path)
    np.testing.assert_array_equal(first, PICTURE)
    assert np.abs(second.astype(int) - SMOOTH).max() <= 12  # of JPEG's half color resolution
    np.testing.assert_array_equal(third, np.repeat(PICTURE[..., :1], 3, -1))


def test_iter_pictures_refuses_another_size(tmp_path):
    (tmp_path / "1.png").write_bytes(encode(PICTURE))
    (tmp_path / "2.png").write_bytes(encode(PICTURE[:20]))
    with pytest.raises(VideoError, match=r"2\.png has 40 x 20 pixels, and the first .* 40 x 24"):
        list(iter_pictures(tmp_path))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_iter_pictures_refuses_damage(tmp_path, suffix):
    whole = encode(PICTURE, suffix)
    for content in (b"", b"nonsense", whole[:-40], whole[:50], whole[:2] + b"\xff" * 99):
        (tmp_path / f"1{suffix}").write_bytes(content)
        with pytest.raises(VideoError, match=rf"1\{suffix} is no whole JPEG or PNG picture"):
            list(iter_pictures(tmp_path))


def test_iter_pictures_refuses_damaged_pixels(tmp_path):
    whole = bytearray(encode(PICTURE))
    whole[60:90] = bytes(30)
    (tmp_path / "1.png").write_bytes(whole)
    with pytest.raises(VideoError, match=r"1\.png is damaged"):
        list(iter_pictures(tmp_path))


def test_forged_sizes_allocate_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    whole = bytearray(encode(PICTURE))
    whole[16:24] = (10**6).to_bytes(4, "big") * 2
    (tmp_path / "1.png").write_bytes(whole)
    with pytest.raises(VideoError, match=r"1\.png has 1000000 x 1000000 pixels"):
        list(iter_pictures(tmp_path))


def test_iter_pictures_opens_no_pipe(tmp_path):
    os.mkfifo(tmp_path / "1.png")
    with pytest.raises(VideoError, match=r"1\.png: .*not a regular file"):
        list(iter_pictures(tmp_path))


def test_picture_size_passes_over_a_thumbnail():
    jpeg, thumbnail = encode(PICTURE, ".jpg"), encode(PICTURE[:8, :8], ".jpg")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    assert picture_size(jpeg[:2] + segment + jpeg[2:]) == (40, 24)
    assert picture_size(jpeg[:2] + segment + jpeg[2:-2]) is None

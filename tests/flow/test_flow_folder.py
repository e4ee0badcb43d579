import unicodedata

import cv2
import numpy as np
import pytest

from i3d_tf.flow.flow_file import FlowFile, write_flow_file
from i3d_tf.flow.flow_folder import FlowFolder, find_flow, is_flow_folder, open_flow
from i3d_tf.flow.metadata import flow_metadata
from i3d_tf.video.errors import VideoError

STEP = 40 / 255  # pixels, of one code
HALF = STEP / 2


@pytest.fixture
def folder(tmp_path):
    """Three pairs of pictures: x has the codes 128, 138 and 148, and y 118, 108 and 98."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(3):
        write(folder, "x", number + 1, 128 + 10 * number)
        write(folder, "y", number + 1, 118 - 10 * number)
    return folder


def write(folder, axis, number, code, size=(32, 48), ending="png"):
    picture = np.full(size, code, np.uint8)
    cv2.imwrite(str(folder / f"flow_{axis}_{number:05}.{ending}"), picture)


def test_flow_folder_reads_pairs_and_repeats_the_last(folder):
    flow = FlowFolder(folder)
    assert (flow.frames, flow.height, flow.width) == (4, 32, 48)
    assert (flow.metadata["frame_rate"], flow.metadata["short_side"]) == (25, 32)
    assert flow.codes()[:, 0, 0].tolist() == [[128, 118], [138, 108], [148, 98], [148, 98]]
    found = flow.read(1, 3)
    assert (found.shape, found.dtype) == ((2, 32, 48, 2), np.float32)
    expected = [[HALF + 10 * STEP, HALF - 20 * STEP], [HALF + 20 * STEP, HALF - 30 * STEP]]
    np.testing.assert_allclose(found[:, 5, 7], expected, atol=2e-6)


def test_flow_folder_is_unpacked_by_the_rounding_that_is_given(folder):
    assert FlowFolder(folder, "floor").read(0, 1)[0, 0, 0, 0] == pytest.approx(STEP, abs=2e-6)
    assert FlowFolder(folder, "deepmind").read(0, 1)[0, 0, 0, 0] == pytest.approx(HALF, abs=2e-6)


@pytest.mark.parametrize("ending", ["jpg", "JPG", "jpeg"])
def test_flow_folder_reads_jpegs(tmp_path, ending):
    for axis in "xy":
        write(tmp_path, axis, 0, 100, ending="jpg")
        (tmp_path / f"flow_{axis}_00000.jpg").rename(tmp_path / f"flow_{axis}_00000.{ending}")
    assert FlowFolder(tmp_path).codes(0, 1) == pytest.approx(100)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: (f / "flow_y_00002.png").unlink(), "its picture number 2 of flow_y is missing"),
        (lambda f: write(f, "x", 2, 0, (32, 50)), r"flow_x_00002\.png has another size"),
        (lambda f: (f / "flow_x_00003.png").write_bytes(b"?"), r"flow_x_00003\.png is no whole"),
        (
            lambda f: write(f, "x", 2, 0, ending="jpg"),
            r"2\.jpg and flow_x_00002\.png have the same",
        ),
    ],
)
def test_flow_folder_names_its_faults(folder, change, reason):
    change(folder)
    with pytest.raises(VideoError, match=reason):
        FlowFolder(folder).read()


def test_flow_folder_needs_pictures_and_a_window(tmp_path, folder):
    with pytest.raises(VideoError, match="it is a folder without flow_x"):
        FlowFolder(tmp_path)
    with pytest.raises(ValueError, match=r"start < stop <= 4 for .*clip; received 2 and 5"):
        FlowFolder(folder).read(2, 5)


def test_find_flow_compares_accents_as_letters(tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "Übung/é") for form in ("NFC", "NFD"))
    stored = tmp_path / f"{nfd}.flow.zip"
    stored.parent.mkdir()
    stored.touch()
    assert find_flow(f"videos/{nfc}.mp4", tmp_path, "videos") == stored
    assert find_flow(f"videos/{nfc}2.mp4", tmp_path, "videos") == tmp_path / f"{nfc}2.flow.zip"


def test_find_flow_prefers_a_flow_file(tmp_path, folder):
    video = tmp_path / "videos" / "clip.mp4"
    assert find_flow(video, tmp_path) == folder
    assert isinstance(open_flow(folder), FlowFolder)
    assert find_flow(tmp_path / "videos" / "other.mp4", tmp_path).name == "other.flow.zip"
    write_flow_file(
        tmp_path / "clip.flow.zip", np.zeros((1, 4, 4, 2), np.float32), flow_metadata(video, "dis")
    )
    assert isinstance(open_flow(find_flow(video, tmp_path)), FlowFile)
    assert is_flow_folder(folder)
    assert not is_flow_folder(tmp_path)

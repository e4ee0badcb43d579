import hashlib
import json
import os
import tracemalloc
import zipfile

import cv2
import numpy as np
import pytest

from i3d_tf.flow.flow_file import SUFFIX, flow_path, open_flow_file, write_flow_file
from i3d_tf.flow.metadata import FORMULAS, flow_metadata
from i3d_tf.flow.quantize import dequantize, quantize
from i3d_tf.video.errors import VideoError

FRAMES, HEIGHT, WIDTH = 5, 6, 7


@pytest.fixture
def metadata(tmp_path):
    """What is known of flow by DIS from a video of three bytes."""
    (tmp_path / "clip.mp4").write_bytes(b"abc")
    return flow_metadata(tmp_path / "clip.mp4", "dis", short_side=6)


@pytest.fixture
def ramp():
    """Float32 (5, 6, 7, 2): frame t moves right by t, and up by 2 t."""
    flow = np.zeros((FRAMES, HEIGHT, WIDTH, 2), np.float32)
    flow += np.array([1, -2], np.float32) * np.arange(FRAMES, dtype=np.float32)[:, None, None, None]
    return flow


@pytest.fixture
def written(tmp_path, ramp, metadata):
    """The ramp as a flow file."""
    path = tmp_path / "clip.flow.zip"
    write_flow_file(path, ramp, metadata)
    return path


@pytest.fixture
def rewrite(written):
    """Function: changes of entries -> the flow file with them; None leaves an entry out."""

    def change(entries, compression=zipfile.ZIP_STORED):
        with zipfile.ZipFile(written) as archive:
            old = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(written, "w", compression) as archive:
            for name, content in (old | entries).items():
                if content is not None:
                    archive.writestr(name, content)
        return written

    return change


@pytest.fixture
def describe(rewrite):
    """Function: fields -> the flow file whose description has them; None leaves a field out."""

    def change(**fields):
        with zipfile.ZipFile(rewrite({})) as archive:
            old = json.loads(archive.read("flow.json"))
        new = {name: value for name, value in (old | fields).items() if value is not ...}
        return rewrite({"flow.json": json.dumps(new)})

    return change


def test_flow_file_is_read_back(written, ramp):
    flow = open_flow_file(written).read()
    assert (flow.shape, flow.dtype) == (ramp.shape, np.float32)
    # Half a code: one spans 40 / 255 pixels.
    assert np.abs(flow - ramp).max() <= 20 / 255 + 1e-5
    np.testing.assert_array_equal(flow, dequantize(quantize(ramp)))


def test_flow_file_keeps_codes(tmp_path, metadata):
    codes = np.random.default_rng(0).integers(0, 256, (3, 40, 51, 2)).astype(np.uint8)
    codes[0, 0, :, 0] = np.arange(51)
    for rounding in ("nearest", "floor"):
        described = flow_metadata(tmp_path / "clip.mp4", "dis", rounding=rounding)
        write_flow_file(tmp_path / "a.flow.zip", dequantize(codes, rounding), described)
        flows = open_flow_file(tmp_path / "a.flow.zip")
        np.testing.assert_array_equal(flows.codes(), codes)
        np.testing.assert_array_equal(flows.read(), dequantize(codes, rounding))


def test_read_window_without_the_rest(rewrite, ramp):
    flows = open_flow_file(rewrite({"000000.png": b"damaged", "000004.png": b"damaged"}))
    np.testing.assert_array_equal(flows.read(1, 4), dequantize(quantize(ramp[1:4])))
    assert flows.codes(2, 3).shape == (1, HEIGHT, WIDTH, 2)
    with pytest.raises(VideoError, match=r"000004\.png must be a grey 8-bit PNG of 7 x 12 pixels"):
        flows.read(3)


def test_pictures_have_x_above_y(written):
    with zipfile.ZipFile(written) as archive:
        assert archive.namelist() == [f"{k:06d}.png" for k in range(FRAMES)] + ["flow.json"]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        content = np.frombuffer(archive.read("000004.png"), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    assert (picture.shape, picture.dtype) == ((2 * HEIGHT, WIDTH), np.uint8)
    # (4 + 20) * 255 / 40 = 153, (-8 + 20) * 255 / 40 = 76.5, halves up.
    assert (picture[:HEIGHT] == 153).all()
    assert (picture[HEIGHT:] == 77).all()


def test_flow_file_has_all_metadata(written):
    flows = open_flow_file(written)
    assert (flows.frames, flows.height, flows.width) == (FRAMES, HEIGHT, WIDTH)
    assert flows.metadata == {
        "format": "i3d_tf flow",
        "version": 1,
        "algorithm": "DIS",
        "engine": "dis",
        "parameters": {"preset": "medium"},
        "frame_rate": 25.0,
        "short_side": 6,
        "bound": 20.0,
        "rounding": "nearest",
        "codes": "code = floor((clip(flow, -20, 20) + 20) * 255 / 40 + 0.5)",
        "source": {
            "name": "clip.mp4",
            "bytes": 3,
            "digest": hashlib.sha256(b"abc").hexdigest(),
        },
        "project_version": "0.1.0",
        "frames": FRAMES,
        "height": HEIGHT,
        "width": WIDTH,
        "clipped_share": 0.0,
    }


def test_write_flow_file_counts_clipped_values(tmp_path, metadata):
    flow = np.zeros((2, 5, 10, 2), np.float32)
    flow[0, 0, :, 0] = 20.0  # not beyond the bound
    flow[1, 0, :3, 1] = -20.5, 21, 1000
    assert write_flow_file(tmp_path / "a.flow.zip", flow, metadata)["clipped_share"] == 3 / 200
    read = open_flow_file(tmp_path / "a.flow.zip").read(1)[0, 0, :3, 1]
    assert read.tolist() == [-20, 20, 20]


def test_write_flow_file_from_iterator_gives_same_bytes(tmp_path, written, ramp, metadata):
    again = tmp_path / "again.flow.zip"
    write_flow_file(again, (frame for frame in ramp), metadata)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (written, again)}
    assert len(digests) == 1


def test_write_flow_file_replaces_file_only_when_complete(tmp_path, written, ramp, metadata):
    before = written.read_bytes()

    def breaks_off():
        yield ramp[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_flow_file(written, breaks_off(), metadata)
    assert written.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["clip.flow.zip", "clip.mp4"]
    write_flow_file(written, ramp[:2], metadata)
    assert open_flow_file(written).frames == 2


def test_write_flow_file_names_file_that_cannot_be_written(tmp_path, ramp, metadata):
    path = tmp_path / "no such folder" / "a.flow.zip"
    with pytest.raises(OSError, match=r"a\.flow\.zip: it cannot be written: no such file"):
        write_flow_file(path, ramp, metadata)
    (tmp_path / "folder.flow.zip").mkdir()
    with pytest.raises(OSError, match="cannot be written: is a directory"):
        write_flow_file(tmp_path / "folder.flow.zip", ramp, metadata)
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "folder.flow.zip"]


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (np.zeros((0, 4, 4, 2), np.float32), "`flow` must have at least one frame"),
        (np.zeros((2, 4, 4, 3), np.float32), r"`flow` must have frames \(H, W, 2\).*\(4, 4, 3\)"),
        (np.zeros((2, 4, 4), np.float32), r"\(H, W, 2\).* received shape \(4, 4\)"),
        (np.zeros((2, 4, 4, 2), np.uint8), "`flow` must be float, in pixels per frame"),
        (np.full((2, 4, 4, 2), np.nan), "`flow` must be finite"),
        (
            [np.zeros((4, 4, 2), np.float32), np.zeros((4, 5, 2), np.float32)],
            r"`flow` must be \(4, 4, 2\) in every frame; received \(4, 5, 2\)",
        ),
    ],
)
def test_write_flow_file_names_wrong_flow_and_leaves_nothing(tmp_path, metadata, flow, message):
    with pytest.raises(ValueError, match=message):
        write_flow_file(tmp_path / "a.flow.zip", flow, metadata)
    assert os.listdir(tmp_path) == ["clip.mp4"]


@pytest.mark.parametrize("window", [(-1, 2), (2, 2), (3, 2), (0, 6), (5, None)])
def test_read_window_outside_video_is_an_error(written, window):
    with pytest.raises(ValueError, match=r"0 <= start < stop <= 5 for .*clip\.flow\.zip; received"):
        open_flow_file(written).read(*window)


def test_open_flow_file_cut_short_is_an_error(written):
    content = written.read_bytes()
    for length in range(0, len(content), 7):
        written.write_bytes(content[:length])
        with pytest.raises(VideoError, match=r"clip\.flow\.zip: it is not a whole ZIP archive"):
            open_flow_file(written)


def test_changed_byte_never_changes_flow(written):
    content = written.read_bytes()
    expected = open_flow_file(written).codes()
    refused = 0
    for place in range(0, len(content), 3):
        changed = bytearray(content)
        changed[place] ^= 0x10
        written.write_bytes(changed)
        try:
            np.testing.assert_array_equal(open_flow_file(written).codes(), expected)
        except VideoError:
            refused += 1
    assert refused > len(content) / 3 * 0.5  # the rest are dates, permissions and the like


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"frames": 6}, r"000005\.png is missing from it; it should have 6"),
        ({"frames": 4}, "it holds more than the flow that its metadata describes"),
        ({"frames": 0}, r"`frames` must be an integer within 1\.\.1000000; it is 0"),
        ({"frames": 10**12}, "`frames` must be"),
        ({"frames": "5"}, "`frames` must be .* it is '5'"),
        ({"frames": True}, "`frames` must be .* it is True"),
        ({"height": -6}, "`height` must be a size"),
        ({"width": 2**40}, "`width` must be a size"),
        ({"height": 2**20, "width": 2**20}, "its frames are larger than"),
        ({"format": "other"}, "`format` must be 'i3d_tf flow'; it is 'other'"),
        ({"version": 2}, "`version` must be 1, the only one there is; it is 2"),
        ({"bound": 10.0}, "`bound` must be 20"),
        ({"rounding": "up"}, "`rounding` must be one of"),
        ({"rounding": "floor"}, "`codes` must be .* it is another formula"),
        ({"frame_rate": float("nan")}, "`frame_rate` must be a number > 0"),
        ({"parameters": [1]}, "`parameters` must be an object"),
        ({"source": {"bytes": 3}}, "`source` must be an object with a name and bytes"),
        ({"engine": ...}, "`engine` is missing from its description"),
        ({"algorithm": "x" * 5000, "engine": None}, "`engine` must be a string; it is None"),
    ],
)
def test_open_flow_file_names_impossible_metadata(describe, fields, message):
    path = describe(**fields)
    with pytest.raises(VideoError, match=message) as caught:
        open_flow_file(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (b"{", "its flow.json is not JSON"),
        (b"\xff\xfe\xfd", "its flow.json is not JSON"),
        (b"[" * 60_000, "its flow.json is not JSON"),
        (b"[]", "its description is not a JSON object"),
        (b" " * 70_000, "flow.json is compressed or too large"),
        (None, "flow.json is missing"),
    ],
)
def test_open_flow_file_names_unreadable_metadata(rewrite, description, message):
    with pytest.raises(VideoError, match=message):
        open_flow_file(rewrite({"flow.json": description}))


def png(picture):
    return cv2.imencode(".png", picture)[1].tobytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        png(np.zeros((2 * HEIGHT, WIDTH + 1), np.uint8)),
        png(np.zeros((2000, 2000), np.uint8)),
        png(np.zeros((2 * HEIGHT, WIDTH, 3), np.uint8)),
        png(np.zeros((2 * HEIGHT, WIDTH), np.uint16)),
        png(np.zeros((2 * HEIGHT, WIDTH), np.uint8))[:40],
    ],
    ids=["empty", "wider", "large", "colour", "16 bits", "header only"],
)
def test_read_names_picture_of_another_kind(rewrite, content):
    with pytest.raises(VideoError, match=r"000002\.png (must be a grey|is damaged)"):
        open_flow_file(rewrite({"000002.png": content})).read()


def test_open_flow_file_refuses_compressed_entries(rewrite):
    with pytest.raises(VideoError, match=r"flow\.json is compressed or too large"):
        open_flow_file(rewrite({}, zipfile.ZIP_DEFLATED))


def test_read_of_huge_entry_takes_no_memory(written):
    content = bytearray(written.read_bytes())
    # The central directory's record of an entry: compressed size 20, size 24 bytes from its start.
    record = content.index(b"PK\x01\x02")
    content[record + 20 : record + 28] = (2**31).to_bytes(4, "little") * 2
    written.write_bytes(content)
    with pytest.raises(VideoError, match=r"000000\.png is compressed or too large"):
        open_flow_file(written).read()


def test_read_refuses_window_larger_than_memory(written, monkeypatch):
    # A byte for each code and four for each float: two frames take 840 bytes.
    monkeypatch.setattr("i3d_tf.flow.flow_file.MAX_BYTES", 840)
    flows = open_flow_file(written)
    assert flows.read(1, 3).shape == (2, HEIGHT, WIDTH, 2)
    with pytest.raises(ValueError, match="`stop` - `start` must be smaller for frames of 6 x 7"):
        flows.read(1, 4)


def test_read_of_forged_size_takes_no_memory(describe):
    flows = open_flow_file(describe(height=2**13, width=2**13))  # 640 MiB of codes
    tracemalloc.start()
    with pytest.raises(VideoError, match="must be a grey 8-bit PNG of 8192 x 16384 pixels"):
        flows.codes()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**20


def test_open_flow_file_names_missing_file_and_folder(tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        open_flow_file(tmp_path / "a.flow.zip")
    with pytest.raises(VideoError, match="it is a folder, not a file"):
        open_flow_file(tmp_path)


def test_flow_path_keeps_structure_of_data_dir():
    assert SUFFIX == ".flow.zip"
    assert flow_path("videos/a/b.c.mp4", "flow").as_posix() == "flow/b.c.flow.zip"
    assert flow_path("videos/a/b.mp4", "flow", "videos").as_posix() == "flow/a/b.flow.zip"
    assert flow_path("videos/a/../b.mp4", "flow", "videos/").as_posix() == "flow/b.flow.zip"


@pytest.mark.parametrize(("stored", "zero"), [("floor", 0), ("deepmind", -20 / 255)])
def test_truncated_codes_are_unpacked_as_wanted(tmp_path, metadata, stored, zero):
    path = tmp_path / "clip.flow.zip"
    metadata |= {"rounding": stored, "codes": FORMULAS[stored]}
    write_flow_file(path, np.zeros((1, 6, 7, 2), np.float32), metadata)
    assert open_flow_file(path).read() == pytest.approx(zero, abs=2e-6)
    assert open_flow_file(path, "floor").read() == pytest.approx(0, abs=2e-6)
    # DeepMind's code 127 is 127 * 40 / 255 - 20 pixels.
    assert open_flow_file(path, "deepmind").read() == pytest.approx(-20 / 255, abs=2e-6)


def test_codes_of_another_rounding_are_refused(written):
    reason = r"its codes were rounded as 'nearest', and 'deepmind' is wanted; compute it anew"
    with pytest.raises(VideoError, match=reason):
        open_flow_file(written, "deepmind")
    assert open_flow_file(written, "nearest").rounding == "nearest"


def test_file_of_both_directions_gives_each_alone(tmp_path, ramp, metadata):
    path = tmp_path / "both.flow.zip"
    both = np.stack([ramp, -ramp], axis=1)
    written = write_flow_file(path, both, {**metadata, "direction": "both"})
    assert (written["direction"], written["frames"]) == ("both", FRAMES)
    flow = open_flow_file(path)
    assert flow.has_backward
    np.testing.assert_allclose(flow.read(1, 4), ramp[1:4], atol=0.08)
    np.testing.assert_allclose(flow.read(1, 4, is_backward=True), -ramp[1:4], atol=0.08)


def test_file_of_one_direction_has_no_backward_flow(written, ramp, metadata, tmp_path):
    flow = open_flow_file(written)
    assert "direction" not in flow.metadata
    with pytest.raises(VideoError, match=r"no backward flow; compute .*--direction=both"):
        flow.read(0, 1, is_backward=True)
    with pytest.raises(ValueError, match=r"frames \(2, H, W, 2\) of both .* \(6, 7, 2\)"):
        write_flow_file(tmp_path / "both.flow.zip", ramp, {**metadata, "direction": "both"})


def test_file_without_its_backward_pictures_is_damaged(describe):
    with pytest.raises(VideoError, match=r"backward_000000\.png is missing"):
        open_flow_file(describe(direction="both"))
    with pytest.raises(VideoError, match=r"`direction` must be one of .*; it is 'up'"):
        open_flow_file(describe(direction="up"))

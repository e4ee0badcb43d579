import io
from fractions import Fraction

import av
import numpy as np
import pytest

from i3d_tf.video.decode import read_clip
from i3d_tf.video.hdr import HLG, PQ, ToneMap, compress, hlg_scene_light, pq_code, pq_light

BT709, BT2020 = 1, 9  # primaries


def hdr_frame(transfer, primaries=BT2020):
    frame = av.VideoFrame(16, 8, "yuv420p10le")
    frame.color_trc, frame.color_primaries, frame.colorspace = transfer, primaries, BT2020
    return frame


def shown(transfer, codes, primaries=BT2020):
    """What a frame of one colour becomes; its codes lie within [0, 1]."""
    picture = np.full((2, 3, 3), np.rint(np.array(codes) * 65535), np.uint16)
    result = ToneMap(hdr_frame(transfer, primaries)).convert(picture)
    assert result.shape == picture.shape
    assert result.dtype == np.uint8
    assert (result == result[0, 0]).all()
    return result[0, 0].tolist()


def test_pq_of_known_light():
    # SMPTE ST 2084 and Rec. ITU-R BT.2408-7, table 1: white of 203 cd/m2 is at 58 %.
    assert pq_code([0, 100, 203, 1000, 10_000]) == pytest.approx(
        [0, 0.508, 0.581, 0.752, 1], abs=1e-3
    )
    light = np.array([0, 0.1, 5, 203, 4000])
    assert pq_light(pq_code(light)) == pytest.approx(light, rel=1e-6, abs=1e-6)


def test_hlg_of_known_light():
    # BT.2100: one half is 1/12 of the scene's light; white, at 75 %, is shown with 203 cd/m2.
    assert hlg_scene_light([0, 0.5, 1]) == pytest.approx([0, 1 / 12, 1], abs=1e-6)
    assert 1000 * hlg_scene_light(0.75) ** 1.2 == pytest.approx(203, abs=1)


def test_compression_keeps_the_dark_and_ends_at_white():
    light = np.linspace(0, 1000, 101)
    seen = compress(light, 1000)
    assert (np.diff(seen) > -1e-9).all()
    assert seen[light < 80] == pytest.approx(light[light < 80])
    assert seen[-1] == pytest.approx(203)
    assert compress(203, 1000) == pytest.approx(159, abs=2)
    assert compress(5000, 1000) == pytest.approx(203)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_black_and_the_brightest_white(transfer):
    assert shown(transfer, (0, 0, 0)) == [0, 0, 0]
    assert shown(transfer, (1, 1, 1)) == [255, 255, 255]


@pytest.mark.parametrize("light", [1, 10, 50, 203, 500])
def test_grey_stays_grey_and_is_coded_for_a_screen(light):
    level = 255 * (compress(light, 1000) / 203) ** (1 / 2.4)
    assert shown(PQ, [pq_code(light)] * 3) == pytest.approx([level] * 3, abs=1)


def test_reference_white_is_the_same_in_both():
    from_pq, from_hlg = shown(PQ, [pq_code(203)] * 3), shown(HLG, [0.75] * 3)
    assert from_pq == pytest.approx(from_hlg, abs=2)
    assert 200 < from_pq[0] < 235


def test_wide_primaries_become_narrow_ones():
    red = [pq_code(50), 0, 0]
    # BT.2020's red lies outside of BT.709: no green or blue is left, and red is brighter.
    wide, narrow = shown(PQ, red), shown(PQ, red, BT709)
    assert narrow[1:] == wide[1:] == [0, 0]
    assert wide[0] > narrow[0]
    assert narrow[0] == pytest.approx(255 * (50 / 203) ** (1 / 2.4), abs=1)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_read_clip_shows_hdr_as_sdr(numbered_frames, read_numbers, transfer):
    file = io.BytesIO()
    with av.open(file, "w", "matroska") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 144, "yuv420p10le"
        context = stream.codec_context
        context.colorspace = context.color_primaries = BT2020
        context.color_trc, context.color_range = transfer, 1
        for number, frame in enumerate(numbered_frames(5)):
            picture = av.VideoFrame.from_ndarray(frame, "rgb24").reformat(
                format="yuv420p10le", dst_colorspace=BT2020, dst_color_range=1
            )
            picture.pts, picture.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    clip = read_clip(file.getvalue())
    assert read_numbers(clip) == list(range(5))
    assert clip.max() == 255

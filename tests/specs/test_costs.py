import pytest

from i3d_tf.specs.complexity import architecture_multiply_adds

IMAGE = (1, 224, 224, 3)


def test_the_paper_inputs():
    i3d = architecture_multiply_adds("two_stream_i3d", {"rgb": (64, 224, 224, 3)})
    assert i3d / 1e9 == pytest.approx(111.2, abs=0.05)
    # Inception-v1 is known for 1.5 billion; C3D has 38.5, of which half the frames go in pool 1.
    image = architecture_multiply_adds("two_stream", {"rgb": IMAGE})
    assert image / 1e9 == pytest.approx(1.5, abs=0.01)
    c3d = architecture_multiply_adds("c3d", {"rgb": (16, 112, 112, 3)})
    assert 38.5 / 2 < c3d / 1e9 < 38.5 / 2 + 1.1  # conv1a sees all frames


def test_streams_add_up():
    shapes = {"rgb": IMAGE, "flow": (10, 224, 224, 2)}
    apart = [architecture_multiply_adds("two_stream", {s: shape}) for s, shape in shapes.items()]
    assert architecture_multiply_adds("two_stream", shapes) == sum(apart)
    # Flow has 17 channels more in the first layer: 7 x 7 x 17 x 64 at 112 x 112 positions.
    assert apart[1] - apart[0] == 7 * 7 * 17 * 64 * 112 * 112


def test_the_lstm_looks_at_every_frame_alike():
    one, five = (
        architecture_multiply_adds("convnet_lstm", {"rgb": (frames, 64, 64, 3)})
        for frames in (1, 5)
    )
    assert five == 5 * one
    # Beside Inception without its head: four gates of 512 units, that see 1024 + 512 values.
    images = architecture_multiply_adds("two_stream", {"rgb": (1, 64, 64, 3)}, classes=400)
    assert one - images == 4 * 512 * (1024 + 512) + 512 * 400 - 1024 * 400


def test_fused_counts_two_trunks_at_every_step_and_what_joins_them():
    shapes = {"rgb": (5, 224, 224, 3), "flow": (50, 224, 224, 2)}
    trunks = 5 * (
        architecture_multiply_adds("two_stream", {"rgb": IMAGE, "flow": (10, 224, 224, 2)})
        - 2 * 1024 * 400
    )
    joined = 5 * 7 * 7 * 27 * 2048 * 512 + 3 * 4 * 4 * 512 * 400
    assert architecture_multiply_adds("fused_3d", shapes) == trunks + joined


def test_an_unknown_name():
    with pytest.raises(ValueError, match=r"`name` must be one of \('convnet_lstm', .*'r3d'"):
        architecture_multiply_adds("r3d", {"rgb": IMAGE})

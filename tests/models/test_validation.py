import pytest

from i3d_tf.models.validation import check_input_shape, shapes_of_streams

DEFAULTS = {"rgb": (1, None, None, 3), "flow": (10, None, None, 2)}


def test_check_input_shape_returns_a_tuple():
    assert check_input_shape([None, 32, 33, 3]) == (None, 32, 33, 3)
    assert check_input_shape((32, None, 20), axes="HWC") == (32, None, 20)
    assert check_input_shape((10, 32, 32, 2), channels=(2,), frames=10) == (10, 32, 32, 2)


@pytest.mark.parametrize(
    ("shape", "limits", "message"),
    [
        ((224, 224, 3), {}, r"`input_shape` must be \(T, H, W, C\); received \(224, 224, 3\)"),
        ((9, 224, 224, 3), {"axes": "HWC"}, r"must be \(H, W, C\)"),
        ((8, 224, 224, 3), {"min_frames": 9}, "T >= 9 or None"),
        ((0, 224, 224, 3), {}, "T >= 1 or None"),
        ((25, 31, 224, 3), {}, "H >= 32 or None"),
        ((25, 224, 224.0, 3), {}, "W >= 32 or None"),
        ((True, 224, 224, 3), {}, "T >= 1 or None"),
        ((16, None, 112, 3), {"fixed": "THW"}, "H >= 32; received"),
        ((9, 64, 64, 2), {"frames": 10}, "T = 10; received"),
        ((64, 224, 224, None), {}, "C >= 1, such as 3 for RGB and 2 for flow; received"),
        ((64, 224, 224, 0), {}, "C >= 1"),
        ((64, 224, 224, None), {"channels": (3, 2)}, "C = 3 for rgb, 2 for flow; received"),
        ((64, 224, 224, 3), {"channels": (2,)}, "C = 2 for flow; received"),
        (
            (8, 64, 64, 3),
            {"frames": 9, "argument": "input_shape['rgb']"},
            r"`input_shape\['rgb'\]`",
        ),
    ],
)
def test_check_input_shape_names_the_allowed_shapes(shape, limits, message):
    with pytest.raises(ValueError, match=message):
        check_input_shape(shape, **limits)


def test_shapes_of_streams_are_those_given_or_the_defaults():
    assert shapes_of_streams("joint", None, DEFAULTS) == DEFAULTS
    assert shapes_of_streams("flow", None, DEFAULTS) == {"flow": DEFAULTS["flow"]}
    assert shapes_of_streams("rgb", (1, 64, 64, 3), DEFAULTS) == {"rgb": (1, 64, 64, 3)}
    both = {"flow": (10, 64, 64, 2), "rgb": (1, 64, 64, 3)}
    assert list(shapes_of_streams("joint", both, DEFAULTS)) == ["rgb", "flow"]


@pytest.mark.parametrize(
    ("stream", "shape", "message"),
    [
        ("both", None, r"`stream` must be one of \('rgb', 'flow', 'joint'\).*'both'"),
        ("rgb", DEFAULTS, r"must be \(T, H, W, C\) for stream 'rgb'"),
        ("joint", (10, 64, 64, 2), r"each of \('rgb', 'flow'\), as in .*received \(10"),
        ("joint", {"rgb": (1, 64, 64, 3)}, r"each of \('rgb', 'flow'\)"),
    ],
)
def test_shapes_of_streams_name_the_allowed_shapes(stream, shape, message):
    with pytest.raises(ValueError, match=message):
        shapes_of_streams(stream, shape, DEFAULTS)

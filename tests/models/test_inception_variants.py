import numpy as np
import pytest

from i3d_tf.specs.inception_variants import VARIANTS
from i3d_tf.zoo import build


def trainable(name, **options):
    model = build(name, **options)
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


# Trainable parameters with 400 classes, counted by hand from the papers' tables.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("s3d", {}, 8_320_048),  # torchvision states this number
        ("s3d_g", {}, 9_518_848),
        ("s3d_g", {"stem": "7"}, 9_556_480),
        ("s3d_g", {"gating": "none"}, 8_299_520),
        (
            "s3d_g",
            {"gating": "cell", "gate_bias": True, "temporal_norm": True},
            12_136_240,
        ),
        ("i2d", {}, 6_002_624),
        *(
            ("top_heavy_i3d", {"first_3d": row}, count)
            for row, count in {
                "Mixed_3b": 12_412_352,
                "Mixed_3c": 12_181_952,
                "Mixed_4b": 11_684_288,
                "Mixed_4c": 11_311_040,
                "Mixed_4d": 10_831_808,
                "Mixed_4e": 10_214_336,
                "Mixed_4f": 9_430_976,
                "Mixed_5b": 8_435_648,
                "Mixed_5c": 7_440_320,
            }.items()
        ),
        ("top_heavy_s3d", {"first_3d": "Mixed_3b"}, 8_169_920),
        ("top_heavy_s3d", {"first_3d": "Mixed_5c"}, 6_494_656),
    ],
)
def test_variant_has_the_parameters_of_its_table(name, options, parameters):
    assert trainable(name, **options) == parameters


def test_bottom_heavy_has_the_kernels_of_i3d_below_and_of_images_above():
    model = build("bottom_heavy_i3d", width_multiplier=1 / 16, last_3d="Mixed_3b")
    kernels = {
        layer: model.get_layer(f"{layer}_Branch_1_Conv3d_0b_3x3").kernel_size
        for layer in ("Mixed_3b", "Mixed_3c", "Mixed_5c")
    }
    assert kernels == {"Mixed_3b": (3, 3, 3), "Mixed_3c": (1, 3, 3), "Mixed_5c": (1, 3, 3)}
    assert model.get_layer("Conv3d_1a_7x7").kernel_size == (7, 7, 7)


def test_every_row_is_an_endpoint():
    model = build("s3d_g", width_multiplier=1 / 16, gating="cell")
    names = {layer.name for layer in model.layers}
    assert {"Conv3d_1a_7x7", "Conv3d_2c_3x3", "MaxPool3d_4a_3x3", "Mixed_5c", "Logits"} <= names
    assert model.get_layer("Mixed_5c").output.shape[-1] == 64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem": "5"}, "`stem` must be one of"),
        ({"gating": "all"}, "`gating` must be one of"),
        ({"padding": "valid"}, "`padding` must be one of"),
        ({"first_3d": "Mixed_6a"}, "`first_3d` must be one of"),
        ({"head": "max"}, "`head` must be one of"),
        ({"pixel_mean": [0.5] * 3}, "`pixel_std` must have 3 numbers"),
        ({"input_shape": (12, 224, 224, 3)}, "T >= 13"),
        ({"unknown": 1}, "takes the arguments"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        build("s3d", **options)


def test_symmetric_networks_need_thirteen_frames_and_others_nine():
    assert {name: table.min_frames for name, table in VARIANTS.items()} == {
        **dict.fromkeys(VARIANTS, 9),
        "s3d": 13,
    }

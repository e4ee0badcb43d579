import re

import pytest

from i3d_tf.specs import complexity
from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.complexity import Complexity, architecture_complexity, inception_complexity
from i3d_tf.specs.inception_v1 import I3D, INCEPTION_V1, Conv, without_time

IMAGE = (1, 224, 224, 3)
FLOW = (10, 224, 224, 2)


def multiply_adds(name, clip_shapes):
    return architecture_complexity(name, clip_shapes).multiply_adds


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters_are_those_of_table_1(name):
    # Printed in whole millions; some rounded, some cut off.
    millions = architecture_complexity(name).parameters / 1e6
    assert -0.5 <= millions - ARCHITECTURES[name].published_parameters < 1


def test_module_docstring_has_the_counted_parameters():
    for name, architecture in ARCHITECTURES.items():
        row = re.search(rf"{re.escape(architecture.title)} +([\d,]+) +(\d+)M", complexity.__doc__)
        assert int(row[1].replace(",", "")) == architecture_complexity(name).parameters
        assert int(row[2]) == architecture.published_parameters


def test_architecture_complexity_defaults_to_the_training_clip():
    assert architecture_complexity("two_stream_i3d").multiply_adds == multiply_adds(
        "two_stream_i3d", {"rgb": (64, 224, 224, 3), "flow": (64, 224, 224, 2)}
    )
    assert architecture_complexity("convnet_lstm").multiply_adds == multiply_adds(
        "convnet_lstm", {"rgb": (25, 224, 224, 3)}
    )


def test_architecture_complexity_names_the_choices():
    with pytest.raises(ValueError, match=r"`name` must be one of \('convnet_lstm',.*'resnet'"):
        architecture_complexity("resnet")


def test_classes_and_positions_cost_parameters():
    # One more class: a column of 1024 weights and a bias in each of the two streams.
    more = architecture_complexity("two_stream", classes=401).parameters
    assert more - architecture_complexity("two_stream").parameters == 2 * 1025
    # 3 x 3 positions instead of 4 x 4 before the first dense layer.
    small = architecture_complexity("c3d", {"rgb": (16, 80, 80, 3)}).parameters
    assert architecture_complexity("c3d").parameters - small == (16 - 9) * 512 * 4096


def test_c3d_of_one_filter_by_hand():
    # 8 kernels of 27 (the first 81), two dense of 1, all with 3 of batch norm; one class and bias.
    convolutions = 81 + 7 * 27 + 8 * 3
    dense = (1 + 3) + (1 + 3) + 2
    counted = architecture_complexity("c3d", {"rgb": (16, 32, 32, 3)}, 1, 1e-6)
    assert counted.parameters == convolutions + dense


@pytest.mark.parametrize(
    ("channels", "classes", "parameters"),
    [(3, 400, 12_704_544), (2, 400, 12_682_592), (3, 600, 12_909_544)],
)
def test_parameters_of_i3d_are_the_released_ones(channels, classes, parameters):
    assert inception_complexity(I3D, (64, 224, 224, channels), classes).parameters == parameters


@pytest.mark.parametrize(("frames", "billions"), [(64, 111.2), (79, 138.9), (250, 434.9)])
def test_multiply_adds_of_i3d(frames, billions):
    counted = inception_complexity(I3D, (frames, 224, 224, 3), 400).multiply_adds
    assert counted / 1e9 == pytest.approx(billions, abs=0.05)  # published with one decimal


def test_inception_v1_has_the_published_size():
    # arXiv:1409.4842, introduction: a budget of 1.5 billion multiply-adds for an image.
    counted = inception_complexity(INCEPTION_V1, (224, 224, 3), 1001)
    assert counted.multiply_adds / 1e9 == pytest.approx(1.5, abs=0.1)
    assert counted.parameters == 6_633_209  # the values in TF-Slim's checkpoint


def test_one_convolution_by_hand():
    rows = (Conv("a", 2, (1, 3, 3), (1, 2, 2)),)
    # 3x3 taps x 3 channels x 2 filters; beta and two statistics of 2; 2 x 10 + 10 in the head.
    # 4 x 3 x 3 positions x 54; 3 head positions x 2 x 10.
    assert inception_complexity(rows, (4, 5, 6, 3), 10) == Complexity(54 + 6 + 30, 36 * 54 + 60)


def test_one_convolution_without_time_by_hand():
    rows = (without_time(Conv("Conv3d_a", 2, (7, 3, 3), (2, 2, 2))),)
    # 3 x 3 positions x 54; the one head position x 2 x 10.
    assert inception_complexity(rows, (5, 6, 3), 10) == Complexity(54 + 6 + 30, 9 * 54 + 20)


def test_multiply_adds_of_the_paper_inputs():
    # Inception-v1 is known for 1.5 billion; C3D has 38.5, of which half the frames go in pool 1.
    assert multiply_adds("two_stream", {"rgb": IMAGE}) / 1e9 == pytest.approx(1.5, abs=0.01)
    c3d = multiply_adds("c3d", {"rgb": (16, 112, 112, 3)})
    assert 38.5 / 2 < c3d / 1e9 < 38.5 / 2 + 1.1  # conv1a gets all frames


def test_streams_add_up():
    rgb = architecture_complexity("two_stream", {"rgb": IMAGE})
    flow = architecture_complexity("two_stream", {"flow": FLOW})
    assert architecture_complexity("two_stream", {"rgb": IMAGE, "flow": FLOW}) == rgb + flow
    # Flow has 17 channels more in the first layer: 7 x 7 x 17 x 64 at 112 x 112 positions.
    more = Complexity(7 * 7 * 17 * 64, 7 * 7 * 17 * 64 * 112 * 112)
    assert flow == rgb + more


def test_convnet_lstm_repeats_every_frame():
    one, five = (
        architecture_complexity("convnet_lstm", {"rgb": (frames, 64, 64, 3)}) for frames in (1, 5)
    )
    assert five == one.repeated(5)
    assert five.parameters == one.parameters
    # Beside Inception without its head: four gates of 512 units, that get 1024 + 512 values.
    images = multiply_adds("two_stream", {"rgb": (1, 64, 64, 3)})
    assert one.multiply_adds - images == 4 * 512 * (1024 + 512) + 512 * 400 - 1024 * 400


def test_fused_3d_counts_two_trunks_at_every_step_and_the_joint_layers():
    shapes = {"rgb": (5, 224, 224, 3), "flow": (50, 224, 224, 2)}
    trunks = 5 * (multiply_adds("two_stream", {"rgb": IMAGE, "flow": FLOW}) - 2 * 1024 * 400)
    joint = 5 * 7 * 7 * 27 * 2048 * 512 + 3 * 4 * 4 * 512 * 400
    assert multiply_adds("fused_3d", shapes) == trunks + joint

import re

import pytest

from i3d_tf.specs import complexity as parameters
from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.complexity import count_parameters


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_counts_are_those_of_table_1(name):
    # Printed in whole millions; some rounded, some cut off.
    millions = count_parameters(name) / 1e6
    assert -0.5 <= millions - ARCHITECTURES[name].published_parameters < 1


def test_the_table_in_the_module_is_what_is_counted():
    for name, architecture in ARCHITECTURES.items():
        row = re.search(rf"{re.escape(architecture.title)} +([\d,]+) +(\d+)M", parameters.__doc__)
        assert int(row[1].replace(",", "")) == count_parameters(name)
        assert int(row[2]) == architecture.published_parameters


def test_two_stream_i3d_is_the_two_released_networks():
    assert count_parameters("two_stream_i3d") == 12_704_544 + 12_682_592


def test_what_classes_and_positions_cost():
    # One more class: a column of 1024 weights and a bias in each of the two streams.
    more = count_parameters("two_stream", 401) - count_parameters("two_stream", 400)
    assert more == 2 * 1025
    # 3 x 3 positions instead of 4 x 4 before the first dense layer.
    small = count_parameters("c3d", clip_shape=(16, 80, 80, 3))
    assert count_parameters("c3d") - small == (16 - 9) * 512 * 4096


def test_one_filter_everywhere_by_hand():
    # C3D with one filter: 8 kernels of 27 (the first 81), two dense of 1, all with 3 of batch norm;
    # one class with its bias.
    convolutions = 81 + 7 * 27 + 8 * 3
    dense = (1 + 3) + (1 + 3) + 2
    counted = count_parameters("c3d", 1, 1e-6, (16, 32, 32, 3))
    assert counted == convolutions + dense


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"`name` must be one of \('convnet_lstm',.*'resnet'"):
        count_parameters("resnet")

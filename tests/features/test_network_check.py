"""Networks that do not give the features that are asked for."""

import keras
import pytest

from i3d_tf.features.network_check import check_clip_size, check_network
from i3d_tf.features.options import feature_config
from i3d_tf.layers.head import HeadPool
from i3d_tf.specs.protocol import Protocol
from i3d_tf.zoo.checkpoint import Checkpoint


def test_check_clip_size_refuses_networks_of_another_size():
    model = keras.Sequential([keras.Input((16, 64, 64, 3)), keras.layers.Activation("relu")])
    check_clip_size(model, "small", (16, 64, 64))
    with pytest.raises(ValueError, match=r"small: it takes only clips of \(16, 64, 64\) .*, not"):
        check_clip_size(model, "small", (9, 64, 64))


def test_check_network_refuses_windows_of_one_time_step_before_the_head():
    clip = keras.Input((None, None, None, 3))
    last = keras.layers.MaxPooling3D((8, 1, 1), padding="valid", name="Mixed_5c")(clip)
    model = keras.Model(clip, HeadPool(name="AvgPool3d_0a_7x7")(last))
    checkpoint = Checkpoint("small", model, "rgb", ("a",), Protocol(), "0")
    check_network(checkpoint, feature_config(window=16), Protocol())
    check_network(checkpoint, feature_config("AvgPool3d_0a_7x7", window=16), Protocol())
    with pytest.raises(ValueError, match=r"small: it takes no clips of \(15, .* two time steps"):
        check_network(checkpoint, feature_config(window=15), Protocol())


def test_check_network_refuses_flow_of_both_directions():
    clip = keras.Input((4, 32, 32, 2))
    model = keras.Model(clip, keras.layers.Activation("relu", name="fc6")(clip))
    protocol = Protocol(frames=4, crop_size=32, flow_direction="both")
    checkpoint = Checkpoint("both", model, "flow", ("a",), protocol, "0")
    with pytest.raises(ValueError, match="both: it reads flow of both directions"):
        check_network(checkpoint, feature_config("fc6", window=4), protocol)

import keras
import numpy as np

from i3d_tf.layers.gate import ChannelGate


def test_gate_weighs_each_channel_by_the_mean_of_its_clip():
    gate = ChannelGate()
    gate.build((None, None, None, None, 2))
    gate.kernel.assign([[0.0, 1.0], [0.0, 0.0]])  # the second factor looks at the first channel
    gate.bias.assign([np.log(3), 0.0])
    clips = np.zeros((2, 2, 1, 1, 2), "f4")
    clips[0, :, 0, 0] = [[0, 4], [4, 8]]  # mean 2 of the first channel
    clips[1] = 1
    outputs = np.array(gate(clips))
    second = 1 / (1 + np.exp(-2))
    np.testing.assert_allclose(outputs[0, :, 0, 0, 0], [0, 3], rtol=1e-6)
    np.testing.assert_allclose(outputs[0, :, 0, 0, 1], [4 * second, 8 * second], rtol=1e-6)
    np.testing.assert_allclose(outputs[1, 0, 0, 0], [0.75, 1 / (1 + np.exp(-1))], rtol=1e-6)


def test_gate_without_bias_computes_in_float32_in_mixed_precision():
    gate = ChannelGate(use_bias=False, dtype="mixed_bfloat16")
    gate.build((None, 3, 1))
    gate.kernel.assign([[1.001]])  # bfloat16 has no such number
    clip = np.full((1, 3, 1), 1.0, "f4")
    outputs = gate(keras.ops.cast(clip, "bfloat16"))
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert [weight.dtype for weight in gate.weights] == ["float32"]
    assert ChannelGate.from_config(gate.get_config()).use_bias is False

import keras
import numpy as np
import pytest

from i3d_tf.inflation.build import border
from i3d_tf.zoo import inflate

layers = keras.layers


def test_layers_without_a_window_treat_each_step_as_an_image():
    image = keras.Input((6, 4, 3))
    x = layers.ZeroPadding2D(((1, 2), (0, 3)))(image)
    x = layers.Cropping2D(((0, 1), (1, 0)))(x)
    x = layers.Rescaling(2.0, offset=0.5)(x)
    x = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])(x)
    x = layers.PReLU(alpha_initializer="random_normal", shared_axes=[1])(x)
    x = layers.PReLU(alpha_initializer="random_normal")(x)
    x = layers.LeakyReLU()(layers.ELU()(x))
    x = layers.UpSampling2D((1, 2), interpolation="bilinear")(layers.UpSampling2D((2, 1))(x))
    x = layers.LayerNormalization(axis=[1, 2])(layers.SpatialDropout2D(0.5)(x))
    x = layers.Permute((2, 1, 3))(layers.Dropout(0.5, noise_shape=(None, 1, 1, 1))(x))
    x = keras.ops.relu6(x + 3.0) * (1 / 6)
    x = x - keras.ops.mean(x, axis=(1, 2), keepdims=True)
    x = keras.ops.concatenate([x, x[..., ::-1]], axis=3)
    x = layers.Multiply()([x, layers.GlobalAveragePooling2D(keepdims=True)(x)])
    x = layers.Softmax(axis=1)(x)
    x = layers.Reshape((-1, 6))(x)
    model_2d = keras.Model(image, x)
    clip = np.random.default_rng(0).normal(size=(2, 3, 6, 4, 3)).astype("float32")
    expected = np.stack([np.array(model_2d(clip[:, step])) for step in range(3)], axis=1)
    outputs = np.array(inflate(model_2d)(clip))
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)  # float32


def test_upsampling_undoes_temporal_strides(random_weights):
    """A U-shaped network: reductions 0 and 1, of which the second keeps time."""
    image = keras.Input((8, 8, 1))
    down = layers.Conv2D(2, 3, 2, padding="same")(image)
    low = layers.MaxPooling2D(2)(down)
    up = layers.UpSampling2D(2, name="up_1")(low)
    up = layers.Concatenate()([up, down])
    up = layers.Conv2DTranspose(1, 3, 2, padding="same", name="up_0")(up)
    model_2d = random_weights(keras.Model(image, layers.Add()([up, image])))
    for frames in (6, None):
        model = inflate(model_2d, padding="edge", frames=frames)
        picture = np.random.default_rng(0).normal(size=(1, 8, 8, 1)).astype("float32")
        outputs = np.array(model(np.repeat(picture[:, None], 6, 1)))
        expected = np.repeat(np.array(model_2d(picture))[:, None], 6, 1)
        np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_upsampling_without_padding_gives_the_interior(random_weights):
    image = keras.Input((8, 8, 1))
    low = layers.Conv2D(1, 3, 2, padding="same")(image)
    model_2d = random_weights(keras.Model(image, layers.UpSampling2D(2)(low)))
    clip = np.random.default_rng(0).normal(size=(1, 8, 8, 8, 1)).astype("float32")
    zero = np.array(inflate(model_2d)(clip))  # 4 steps, repeated
    valid = np.array(inflate(model_2d, padding="valid")(clip))
    # The window of the fourth step would need a ninth frame.
    assert border(model_2d, padding="valid") == [(0, 2)]
    np.testing.assert_allclose(valid, zero[:, :6], atol=1e-6)


@pytest.mark.parametrize("padding", ["zero", "edge", "valid"])
@pytest.mark.parametrize("layer", ["depthwise", "separable", "grouped"])
def test_convolutions_of_channel_groups(layer, padding, random_weights):
    image = keras.Input((7, 6, 4))
    arguments = {"strides": 2, "padding": "same", "activation": "relu"}
    if layer == "depthwise":
        outputs = layers.DepthwiseConv2D(3, depth_multiplier=2, **arguments)(image)
    elif layer == "separable":
        outputs = layers.SeparableConv2D(5, 3, depth_multiplier=2, **arguments)(image)
    else:
        outputs = layers.Conv2D(6, 3, groups=2, **arguments)(image)
    model_2d = random_weights(keras.Model(image, outputs))
    picture = np.random.default_rng(0).normal(size=(2, 7, 6, 4)).astype("float32")
    expected = np.array(model_2d(picture))[:, None]
    (reach,) = border(model_2d, padding=padding)
    outputs = np.array(inflate(model_2d, padding=padding)(np.repeat(picture[:, None], 8, 1)))
    if padding == "zero":
        outputs = outputs[:, reach.start : outputs.shape[1] - reach.end]
    np.testing.assert_allclose(outputs, np.broadcast_to(expected, outputs.shape), atol=1e-5)


def test_layers_keep_their_arguments():
    image = keras.Input((8, 8, 3))
    conv = layers.Conv2D(
        4, 3, dilation_rate=2, kernel_regularizer="l2", trainable=False, name="dilated"
    )
    model = inflate(keras.Model(image, conv(image)), padding="edge")
    layer = model.get_layer("dilated")
    assert layer.dilation_rate == (1, 2, 2)
    assert not layer.trainable
    assert isinstance(layer.kernel_regularizer, keras.regularizers.L2)
    assert model.output.shape == (None, None, 4, 4, 4)


class Twice(layers.Layer):
    """A layer of a user's own."""

    def call(self, inputs):
        return 2 * inputs


def test_rules_give_other_layers_a_3d_form():
    image = keras.Input((4, 4, 1))
    model_2d = keras.Model(image, Twice(name="mine")(image))
    with pytest.raises(ValueError, match=r"'mine' \(Twice\).*rules=\{Twice"):
        inflate(model_2d)
    model = inflate(model_2d, rules={Twice: lambda layer: Twice(name=layer.name)})
    assert np.array(model(np.ones((1, 2, 4, 4, 1)))).max() == 2


def test_channels_first_is_refused():
    image = keras.Input((3, 8, 8))
    conv = layers.Conv2D(2, 3, data_format="channels_first", name="conv")
    with pytest.raises(ValueError, match=r"'conv'.*channels_last"):
        inflate(keras.Model(image, conv(image)))


def test_rules_must_keep_the_weights():
    image = keras.Input((4, 4, 1))
    model_2d = keras.Model(image, layers.Conv2D(2, 1, name="conv")(image))
    with pytest.raises(ValueError, match=r"weights of 'conv', 2 of them; its layer has 0"):
        inflate(model_2d, rules={layers.Conv2D: lambda layer: layers.ReLU(name=layer.name)})


def test_operations_without_a_3d_form_are_named():
    image = keras.Input((4, 4, 1))
    with pytest.raises(ValueError, match=r"a function of keras.ops, has no 3D form"):
        inflate(keras.Model(image, keras.ops.cumsum(image, axis=1)))

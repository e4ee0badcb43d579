import keras
import numpy as np
import pytest

from i3d_tf.inflation.build import Border, border
from i3d_tf.zoo import inflate

layers = keras.layers
RAMP = np.arange(8.0, dtype="float32")


def one_pixel_clip(values):
    """(1, T, 1, 1, 1): a clip of single pixels."""
    return np.asarray(values, "float32").reshape(1, -1, 1, 1, 1)


def one_conv(size=3, stride=1):
    """A 2D network whose output is its input: its kernel is 1 in the middle, else 0."""
    image = keras.Input((1, 1, 1))
    conv = layers.Conv2D(1, size, stride, padding="same", use_bias=False, name="conv")
    model = keras.Model(image, conv(image), name="one_conv")
    kernel = np.zeros((size, size, 1, 1))
    kernel[size // 2, size // 2] = 1
    conv.set_weights([kernel])
    return model


def outputs_of(model_2d, clip, **arguments):
    return np.array(inflate(model_2d, **arguments)(clip)).ravel()


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        ("zero", [1 / 3, 1, 2, 3, 4, 5, 6, 13 / 3]),  # ends: (0 + 0 + 1) / 3 and (6 + 7 + 0) / 3
        ("edge", [1 / 3, 1, 2, 3, 4, 5, 6, 20 / 3]),  # (0 + 0 + 1) / 3 and (6 + 7 + 7) / 3
        ("valid", [1, 2, 3, 4, 5, 6]),
    ],
)
def test_convolution_of_a_ramp(padding, expected):
    """The mean of three neighboring frames of a ramp is the middle one."""
    for frames in (None, 8):
        outputs = outputs_of(one_conv(), one_pixel_clip(RAMP), padding=padding, frames=frames)
        np.testing.assert_allclose(outputs, expected, rtol=1e-6)  # float32


@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_centered_convolution_gives_each_frame_alone(padding):
    outputs = outputs_of(one_conv(), one_pixel_clip(RAMP), init="centre", padding=padding)
    np.testing.assert_array_equal(outputs, RAMP)


def test_strided_convolution_has_windows_as_in_tensorflow():
    """SAME at 8 frames, extent 7, stride 2: the middle of the window is at 1, 3, 5, 7."""
    outputs = outputs_of(one_conv(7, stride=2), one_pixel_clip(RAMP), init="centre")
    np.testing.assert_array_equal(outputs, [1, 3, 5, 7])
    for frames in (None, 8):
        outputs = outputs_of(
            one_conv(7, stride=2), one_pixel_clip(RAMP), padding="valid", frames=frames
        )
        np.testing.assert_allclose(outputs, [3], rtol=1e-6)  # frames 0 to 6; the next needs 2 to 8
        outputs = outputs_of(one_conv(7, 2), one_pixel_clip(RAMP), padding="edge", frames=frames)
        # (0+0+0+1+2+3+4) / 7, (0+...+6) / 7, (2+...+7+7) / 7, (4+5+6+7+7+7+7) / 7
        np.testing.assert_allclose(outputs, np.array([10, 21, 34, 43]) / 7, rtol=1e-6)


def test_any_and_known_number_of_frames_give_the_same():
    model_2d = one_conv(7, stride=2)
    for frames in range(1, 12):
        clip = one_pixel_clip(np.arange(frames) + 1.0)
        for padding in ("zero", "edge"):
            free = outputs_of(model_2d, clip, padding=padding)
            fixed = outputs_of(model_2d, clip, padding=padding, frames=frames)
            assert free.shape == (-(-frames // 2),)
            np.testing.assert_allclose(free, fixed, rtol=1e-6)


def residual_network():
    """Strides, residual and concatenated branches of unequal depth, an even kernel, a pool."""
    image = keras.Input((17, 17, 2))
    x = layers.Conv2D(4, 5, 2, padding="same", activation="relu")(image)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = layers.AveragePooling2D(2, 2, padding="same")(x)
    long = layers.Conv2D(4, 3, padding="same", activation="tanh")(x)
    long = layers.Conv2D(4, 3, 2, padding="same")(long)
    short = layers.Conv2D(4, 1, 2)(x)
    pool = layers.AveragePooling2D(3, 2, padding="same")(x)
    x = layers.Concatenate()([layers.Add()([long, short]), pool])
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(6, 2, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3)(x), name="residual")


@pytest.fixture(scope="module")
def residual(random_weights):
    return random_weights(residual_network())


def test_outputs_without_padding_are_the_interior_of_those_with_zeros(residual):
    """For a moving video too: windows are at the same frames with and without padding."""
    clip = np.random.default_rng(0).normal(size=(2, 40, 17, 17, 2)).astype("float32")
    zero = np.array(inflate(residual, time="steps")(clip))
    (reach,) = border(residual)
    (lost,) = border(residual, padding="valid")
    assert lost.start >= reach.start > 0
    assert lost.end >= reach.end > 0
    for frames in (None, 40):
        valid = np.array(inflate(residual, padding="valid", time="steps", frames=frames)(clip))
        interior = zero[:, lost.start : zero.shape[1] - lost.end]
        assert valid.shape == interior.shape
        assert valid.shape[1] > 1
        np.testing.assert_allclose(valid, interior, atol=1e-5 * np.abs(zero).max())  # float32


@pytest.mark.parametrize("frames", range(21, 29))
def test_branches_have_the_same_length_for_any_clip(residual, frames):
    clip = np.zeros((1, frames, 17, 17, 2), "float32")
    for padding in ("zero", "edge", "valid"):
        steps = inflate(residual, padding=padding, time="steps")(clip).shape[1]
        assert steps == -(-frames // 4) if padding != "valid" else steps >= 1


def test_mixed_precision_is_kept(random_weights):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model_2d = random_weights(residual_network())
        model = inflate(model_2d, padding="edge", time="steps")
    finally:
        keras.config.set_dtype_policy(policy)
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {"bfloat16"}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    picture = np.random.default_rng(0).normal(size=(1, 17, 17, 2)).astype("float32")
    outputs = keras.ops.convert_to_numpy(
        keras.ops.cast(model(np.repeat(picture[:, None], 8, 1)), "float32")
    )
    expected = keras.ops.convert_to_numpy(keras.ops.cast(model_2d(picture), "float32"))[:, None]
    # bfloat16 has 8 bits; six layers.
    np.testing.assert_allclose(outputs, np.repeat(expected, 2, 1), atol=0.1 * abs(expected).max())


def rank_three():
    signal = keras.Input((8, 3))
    return keras.Model(signal, layers.Dense(1)(signal))


def recurrent():
    image = keras.Input((4, 4, 1))
    return keras.Model(image, layers.LSTM(2, name="lstm")(layers.Reshape((4, 4))(image)))


def any_size():
    image = keras.Input((None, None, 1))
    return keras.Model(image, layers.Flatten(name="flat")(image))


def unequal_strides(site):
    return 1, 2 if site.layer.name == "conv" else 1


def two_branches():
    image = keras.Input((4, 4, 1))
    conv = layers.Conv2D(1, 1, name="conv")(image)
    return keras.Model(image, layers.Add(name="sum")([conv, image]))


def depthwise_first():
    image = keras.Input((4, 4, 3))
    return keras.Model(image, layers.DepthwiseConv2D(3, name="first")(image))


def two_inputs():
    images = [keras.Input((4, 4, 1)) for _ in range(2)]
    return keras.Model(images, layers.Add()(images))


def unequal_ranks():
    image = keras.Input((4, 4, 3))
    pooled = layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, layers.Add(name="sum")([image, pooled]))


def mean_of_everything():
    image = keras.Input((4, 4, 1))
    return keras.Model(image, image - keras.ops.mean(image))


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (one_conv, {"temporal": "slow"}, r"'bottleneck'\).*'slow'"),
        (one_conv, {"temporal": lambda site: 3}, "received 3 for 'conv'"),
        (one_conv, {"temporal": lambda site: (0, 1)}, r"integers >= 1.*received \(0, 1\)"),
        (one_conv, {"padding": "same"}, r"'valid'\).*'same'"),
        (one_conv, {"time": "max"}, "'max'"),
        (one_conv, {"init": "center"}, "'center'"),
        (one_conv, {"frames": 0}, "`frames` must be an integer >= 1; received 0"),
        (one_conv, {"channels": 2.5}, "`channels` must be an integer >= 1; received 2.5"),
        (two_inputs, {"channels": 2}, "`channels` must be None for a model of 2 inputs"),
        (unequal_ranks, {}, r"The inputs of 'sum' have \[2, 4\] axes"),
        (one_conv, {"padding": "valid", "frames": 2}, "`frames` is too small.*'conv' spans 3"),
        (rank_three, {}, r"\(N, H, W, C\).*\(None, 8, 3\)"),
        (recurrent, {}, r"'lstm' \(LSTM\) has no 3D form"),
        (any_size, {}, "'flat'.*fixed height and width"),
        (two_branches, {"temporal": unequal_strides}, "'sum'.*1.*2.*same strides"),
        (depthwise_first, {"channels": 2}, "`channels` must be 3, or None: 'first'"),
        (mean_of_everything, {}, "axis None"),
        (lambda: "ResNet50", {}, "functional .* 'ResNet50'"),
    ],
)
def test_inflate_names_layers_without_a_3d_form(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        inflate(make(), **arguments)


def test_border_counts_the_steps_that_padding_reaches():
    """A convolution of size 3 reaches one step further each; a stride of 2 halves that."""
    image = keras.Input((8, 8, 1))
    stem = layers.Conv2D(1, 7, 2, padding="same")(image)  # windows -2...4, 0...6, 2...8, ...
    assert border(keras.Model(image, stem)) == [Border(1, 2)]
    deeper = layers.Conv2D(1, 3, padding="same")(layers.Conv2D(1, 1)(stem))
    assert border(keras.Model(image, [deeper, stem])) == [Border(2, 3), Border(1, 2)]
    pooled = layers.MaxPooling2D(3, 1, padding="same")(image)
    assert border(keras.Model(image, pooled)) == [Border(0, 0)]
    assert border(keras.Model(image, pooled), padding="valid") == [Border(1, 1)]
    larger = layers.UpSampling2D(2)(stem)
    assert border(keras.Model(image, larger)) == [Border(2, 4)]
    with pytest.raises(ValueError, match="'same'"):
        border(keras.Model(image, stem), padding="same")

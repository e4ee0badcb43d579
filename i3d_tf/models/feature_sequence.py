"""Networks over stored features: a recurrent layer over the rows of a video, or their mean."""

import keras

from i3d_tf.layers.step_pool import StepPool
from i3d_tf.models.convnet_lstm import STEP_POOL
from i3d_tf.models.validation import check_network
from i3d_tf.specs.baselines import LOG_MEAN, widen_units
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.specs.validation import is_integer

CHANNELS = 1024  # of I3D's Mixed_5c
UNITS = 1024
RECURRENT = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


def feature_sequence(
    cell: str,
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    all_steps: bool = False,
    name: str | None = None,
) -> keras.Model:
    """Builds a recurrent layer of 1024 units and a fully connected one over rows of features.

    Inputs are float (N, T, C), T rows of a video. The fully connected layer gives logits at every
    step, the endpoint `Logits`, (N, T, classes); `step_pool` is the mean of their
    log-probabilities, (N, classes).

    Args:
        cell: "lstm" or "gru".
        input_shape: (T, C); T may be None (any). Default: any T, C = 1024.
        classes: Number of logits.
        dropout_rate: Dropout between the recurrent and the fully connected layer.
        width_multiplier: Scale of the number of units.
        all_steps: Whether `step_pool` leaves all steps as they are, for training; programs that
            test the network find there how they are pooled.
        name: Name of the model; None is that in the zoo.

    Raises:
        ValueError: An argument is not allowed.
    """
    rows = keras.Input(_check_shape(input_shape), name="rows")
    check_network(classes, dropout_rate, width_multiplier)
    units = widen_units(UNITS, width_multiplier)
    steps = RECURRENT[cell](units, return_sequences=True, name=cell)(rows)  # (N, T, units)
    steps = keras.layers.Dropout(dropout_rate, name="dropout")(steps)
    outputs = keras.layers.Dense(classes, dtype="float32", name=HEAD)(steps)  # (N, T, classes)
    outputs = StepPool(LOG_MEAN, all_steps, dtype="float32", name=STEP_POOL)(outputs)
    return keras.Model(rows, outputs, name=name or f"feature_{cell}")


def feature_linear(
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    name: str = "feature_linear",
) -> keras.Model:
    """Builds a fully connected layer on the mean of the rows of features.

    Args:
        input_shape: See `feature_sequence`.
        classes: Number of logits.
        dropout_rate: Dropout before the layer.
        width_multiplier: Has no effect; every network of the zoo has it.
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    rows = keras.Input(_check_shape(input_shape), name="rows")
    check_network(classes, dropout_rate, width_multiplier)
    mean = keras.layers.GlobalAveragePooling1D(name="mean_row")(rows)  # (N, C)
    mean = keras.layers.Dropout(dropout_rate, name="dropout")(mean)
    outputs = keras.layers.Dense(classes, dtype="float32", name=HEAD)(mean)
    return keras.Model(rows, outputs, name=name)


def _check_shape(shape):
    shape = (None, CHANNELS) if shape is None else tuple(shape)
    lengths = [length for length in shape[:1] if length is not None] + list(shape[1:])
    if len(shape) != 2 or not all(is_integer(length) and length >= 1 for length in lengths):
        raise ValueError(
            f"`input_shape` must be (T, C), T >= 1 or None and C >= 1; received {shape}."
        )
    return shape

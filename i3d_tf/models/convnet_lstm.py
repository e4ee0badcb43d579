"""The ConvNet+LSTM of the comparison as a functional Keras model."""

import keras

from i3d_tf.layers.frames import FoldTime, LastStep, UnfoldTime
from i3d_tf.layers.step_pool import StepPool
from i3d_tf.models.backbone import apply_backbone
from i3d_tf.models.validation import check_input_shape, check_network
from i3d_tf.specs.baselines import LAST, LSTM_UNITS, STEP_POOLINGS, widen_units
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, HEAD
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice, check_integer

LAST_STEP = "last_step"
STEP_POOL = "step_pool"


def convnet_lstm(
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    all_steps: bool = False,
    name: str = "convnet_lstm",
    *,
    backbone: str = "inception_v1",
    lstm_layers: int = 1,
    batch_norm: bool = True,
    step_pooling: str = LAST,
) -> keras.Model:
    """Builds a 2D network on every frame and an LSTM over them (arXiv:1705.07750, section 2.1).

    Inputs are float in [-1, 1], (N, T, H, W, C): frames that are five apart in the paper. Inception
    ends with its average pool; the LSTM of 512 units has batch norm on its inputs and on its
    outputs, with statistics over clips and steps alike. (The paper cites arXiv:1603.09025, whose
    batch norm is inside the recurrence and keeps statistics for every step, which ties a network to
    the length of its training clips.) A fully connected layer gives logits at every step.

    The logits of all steps are the endpoint `Logits`, (N, T, classes), those of the last step
    `last_step`, (N, classes). Training uses all of them, testing the last. Both have the same
    variables, and `keras.Model(model.input, model.get_layer("Logits").output)` shares them.

    arXiv:1705.06950 has ResNet-50 in the place of Inception. The deep LSTM of arXiv:1503.08909 has
    five layers without batch norm, is trained on the loss of all steps with weights that rise to
    the last (`loss_gain` of a recipe), and tested with one of four poolings of their predictions.

    Args:
        input_shape: (T, H, W, C); T >= 1, H and W >= 32, each of the three may be None (any). C is
            3 for RGB, as in the paper, or 2 for flow. Default: any size, RGB.
        classes: Number of logits.
        dropout_rate: Dropout between the LSTM and the fully connected layer.
        width_multiplier: Scale of the number of filters and LSTM units.
        all_steps: Whether the model gives the logits of all steps.
        name: Name of the model.
        backbone: The 2D network, one of `i3d_tf.models.backbone.BACKBONES`.
        lstm_layers: LSTMs on top of each other: `lstm`, `lstm_2`, ...
        batch_norm: Whether batch norm is before the first and behind the last LSTM.
        step_pooling: Logits of a clip from those of all steps, see
            `i3d_tf.layers.step_pool.pool_steps`. Other than "last", the last endpoint is
            `step_pool`, which also tells testing programs of it where it gives all steps.

    Raises:
        ValueError: An argument is not allowed.
    """
    shape = check_input_shape(
        (None, None, None, CHANNELS["rgb"]) if input_shape is None else input_shape,
        channels=tuple(CHANNELS.values()),
    )
    check_network(classes, dropout_rate, width_multiplier)
    check_integer("lstm_layers", lstm_layers, 1)
    check_choice("step_pooling", step_pooling, STEP_POOLINGS)
    clip = keras.Input(shape, name="clip")
    frames = FoldTime(name="fold_time")(clip)  # (N * T, H, W, C)
    features = apply_backbone(backbone, frames, width_multiplier)
    steps = UnfoldTime(name="unfold_time")([features, clip])  # (N, T, 1024)
    units = widen_units(LSTM_UNITS, width_multiplier)
    if batch_norm:
        steps = _batch_norm("lstm_input_norm")(steps)
    for number in range(1, lstm_layers + 1):
        layer_name = "lstm" if number == 1 else f"lstm_{number}"
        steps = keras.layers.LSTM(units, return_sequences=True, name=layer_name)(steps)
    if batch_norm:
        steps = _batch_norm("lstm_output_norm")(steps)  # (N, T, 512)
    steps = keras.layers.Dropout(dropout_rate, name="dropout")(steps)
    # In float32 under every policy, like the logits of all networks.
    outputs = keras.layers.Dense(classes, dtype="float32", name=HEAD)(steps)
    if step_pooling != LAST:
        outputs = StepPool(step_pooling, all_steps, dtype="float32", name=STEP_POOL)(outputs)
    elif not all_steps:
        outputs = LastStep(dtype="float32", name=LAST_STEP)(outputs)
    return keras.Model(clip, outputs, name=name)


def _batch_norm(name):
    """Returns batch norm over clips and steps, without a scale: a linear layer follows it."""
    return keras.layers.BatchNormalization(
        scale=False, epsilon=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM, name=name
    )

"""I3D that looks at persons in boxes, as a functional Keras model."""

import keras

from i3d_tf.layers.frames import FoldTime, SpacePool, TimePool, UnfoldTime
from i3d_tf.layers.inception import layer_for
from i3d_tf.layers.roi_align import BoxesInPixels, RoIAlign
from i3d_tf.models.clip_input import clip_input
from i3d_tf.models.validation import check_network
from i3d_tf.specs.geometry import Shape, receptive_fields
from i3d_tf.specs.inception_v1 import HEAD, I3D, MIN_FRAMES, widen
from i3d_tf.specs.validation import check_choice, check_integer

LAST_SHARED = "Mixed_4f"  # the layer whose outputs are cut into boxes
PERSON_HEADS = ("inception", "mean_time")
REDUCTIONS = ("mean", "max")
PERSON_FEATURES = "person_features"


def person_i3d(
    input_shape: Shape | None = None,
    boxes: int | None = None,
    classes: int = 80,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    head: str = "inception",
    pooling: str = "mean",
    roi_size: int = 7,
    sampling: int = 2,
    name: str = "person_i3d",
) -> keras.Model:
    """Builds I3D with a head that looks at each person, untrained.

    The features of a box are those of `Mixed_4f` within it, at all time steps; the remaining blocks
    see each person alone (arXiv:1807.10066, without its detector). Variables have I3D's paths, so
    that every checkpoint of I3D starts it.

    Inputs are {"clip": float (N, T, H, W, C) in [-1, 1], "boxes": float (N, M, 4)}: (x1, y1, x2,
    y2), corners as shares of the frame's width and height, in [0, 1]. Outputs are logits,
    (N, M, classes), each class by itself (sigmoid). `person_features`, (N, M, 1024), is an
    endpoint. Boxes without area have outputs too, to be left out.

    Args:
        input_shape: (T, H, W, C); T >= 9, H and W >= 32, each of the three may be None (any).
            Default: any size of RGB.
        boxes: M; None is any number.
        classes: Number of logits; AVA has 80.
        dropout_rate: Dropout before the last layer.
        width_multiplier: Scale of the number of filters.
        head: "inception" for the blocks after `Mixed_4f` on each person; "mean_time" for none of
            them: the features of `Mixed_4f` averaged over time, of 832 channels, as in PySlowFast.
        pooling: "mean" or "max" over the positions of a box; time is averaged.
        roi_size: Positions of a box along each side, see `RoIAlign`.
        sampling: See `RoIAlign`.
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    check_choice("head", head, PERSON_HEADS)
    check_choice("pooling", pooling, REDUCTIONS)
    check_network(classes, dropout_rate, width_multiplier)
    if boxes is not None:
        check_integer("boxes", boxes, 1)
    clip = clip_input(input_shape, min_frames=MIN_FRAMES)
    corners = keras.Input((boxes, 4), name="boxes", dtype="float32")
    end = [row.name for row in I3D].index(LAST_SHARED) + 1
    features = clip
    for row in I3D[:end]:
        features = layer_for(widen(row, width_multiplier))(features)
    stride = receptive_fields(I3D)[LAST_SHARED].jump[1]
    # In float32 under every policy: bfloat16 would move boxes by pixels.
    pixels = BoxesInPixels(dtype="float32", name="boxes_in_pixels")([corners, clip])
    persons = RoIAlign(roi_size, sampling, 1 / stride, dtype="float32", name="roi_align")(
        [features, pixels]
    )  # (N, M, T', size, size, 832)
    persons = FoldTime(name="fold_persons")(persons)  # (N * M, T', size, size, 832)
    if head == "inception":
        for row in I3D[end:]:
            persons = layer_for(widen(row, width_multiplier))(persons)
    persons = SpacePool(pooling, name="space_pool")(persons)
    persons = TimePool("mean", name="time_pool")(persons)  # (N * M, 1024)
    persons = UnfoldTime(name=PERSON_FEATURES)([persons, corners])  # (N, M, 1024)
    persons = keras.layers.Dropout(dropout_rate, name="dropout")(persons)
    outputs = keras.layers.Dense(classes, dtype="float32", name=HEAD)(persons)
    return keras.Model({"clip": clip, "boxes": corners}, outputs, name=name)

"""RoIAlign: the features of boxes, in a grid of fixed size (He et al., arXiv:1703.06870)."""

from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.validation import check_integer, check_positive

MAX_RELATIVE_SIZE = 2  # of a box, over the feature map's; larger ones get no more samples


@keras.saving.register_keras_serializable(package="i3d_tf")
class RoIAlign(keras.layers.Layer):
    """Features within boxes: [(N, T, H, W, C), (N, M, 4)] -> (N, M, T, size, size, C).

    A box, (x1, y1, x2, y2) in pixels of the network's input, is the same for all time steps. It is
    cut into size x size bins, each the mean of bilinear samples, as in torchvision with
    `aligned=True`: pixel k has its center at k + 0.5. Samples more than one step outside are 0.

    Args:
        size: Bins along each side.
        sampling: Samples of a bin along each side; 0 takes as many as it has steps, rounded up.
        scale: Steps of the features for each pixel.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, size: int = 7, sampling: int = 2, scale: float = 1 / 16, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = check_integer("size", size, 1)
        self.sampling = check_integer("sampling", sampling, 0)
        self.scale = check_positive("scale", scale)

    def call(self, inputs: list[KerasTensor]) -> KerasTensor:
        """Averages the samples of every bin; both sides of the grid are independent."""
        features, boxes = inputs
        boxes = ops.cast(boxes, "float32")
        _, _, height, width, _ = ops.shape(features)
        rows = self._weights(boxes[..., 1], boxes[..., 3], height)
        columns = self._weights(boxes[..., 0], boxes[..., 2], width)
        rows, columns = (ops.cast(weights, features.dtype) for weights in (rows, columns))
        within_rows = ops.einsum("nmih,nthwc->nmtiwc", rows, features)
        return ops.einsum("nmjw,nmtiwc->nmtijc", columns, within_rows)

    def _weights(self, first, last, length):
        """Returns the share of each step in each bin along one side, (N, M, size, length)."""
        start = first * self.scale - 0.5
        extent = (last - first) * self.scale / self.size  # of a bin
        if self.sampling:
            number = ops.full_like(extent, self.sampling)
            most = self.sampling
        else:
            most = MAX_RELATIVE_SIZE * (length + self.size - 1) // self.size
            number = ops.clip(ops.ceil(extent), 1, ops.cast(most, "float32"))
        number = number[..., None, None]
        sample = ops.cast(ops.arange(most), "float32")
        within = (sample + 0.5) / number  # of the bin, (N, M, 1, samples)
        bins = ops.cast(ops.arange(self.size), "float32")[:, None]
        at = start[..., None, None] + extent[..., None, None] * (bins + within)
        end = ops.cast(length, "float32")
        counts = ops.cast((at >= -1) & (at <= end) & (sample < number), "float32") / number
        at = ops.clip(at, 0, end - 1)
        steps = ops.cast(ops.arange(length), "float32")
        shares = ops.maximum(1 - ops.abs(at[..., None] - steps), 0)
        return ops.sum(shares * counts[..., None], axis=-2)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Returns (N, M, T, size, size, C)."""
        (batch, time, _, _, channels), (_, boxes, _) = input_shape
        return (batch, boxes, time, self.size, self.size, channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = {"size": self.size, "sampling": self.sampling, "scale": self.scale}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="i3d_tf")
class BoxesInPixels(keras.layers.Layer):
    """Boxes as shares of the frame in pixels: [(N, M, 4), (N, T, H, W, C)] -> (N, M, 4).

    The second input gives height and width; its values are not used.
    """

    def call(self, inputs: list[KerasTensor]) -> KerasTensor:
        """Multiplies (x1, y1, x2, y2) by the width and the height."""
        boxes, clip = inputs
        _, _, height, width, _ = ops.shape(clip)
        sides = ops.stack([ops.cast(side, boxes.dtype) for side in (width, height)] * 2)
        return boxes * sides

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Returns (N, M, 4)."""
        return input_shape[0]

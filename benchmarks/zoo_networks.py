"""The networks that are measured, each with a clip of the size that its paper trains with."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.further_networks import FURTHER_NETWORKS
from i3d_tf.specs.protocol import clip_shape
from i3d_tf.specs.streams import CROP_SIZE, TRAIN_FRAMES

I3D = "inception_i3d"
EXTRA = {
    "i3d_resnet50 + 5 non-local": ("i3d_resnet50", {"non_local": 5}),
    "pooled_frames (time_conv)": ("pooled_frames", {"pooling": "time_conv"}),
    "convnet_lstm (resnet50)": ("convnet_lstm", {"backbone": "resnet50"}),
    "two_stream_2014": ("two_stream_2014", {"stream": "rgb"}),
    "two_stream_2014 (flow)": ("two_stream_2014", {"stream": "flow"}),
    "two_stream rgb (resnet50)": ("two_stream", {"stream": "rgb", "backbone": "resnet50"}),
}
IMAGES = {"bn_inception": (224, 224, 3)}  # networks of single images


class ZooNetwork(NamedTuple):
    """A network to measure.

    Attributes:
        title: Its row in the table.
        name: Name for `i3d_tf.zoo.build`.
        arguments: Its other arguments.
        shape: The clip's, (T, H, W, C), or (H, W, C) of an image.
    """

    title: str
    name: str
    arguments: dict[str, Any]
    shape: tuple[int, ...]


def zoo_networks() -> Iterator[ZooNetwork]:
    """Yields the networks, I3D first."""
    yield ZooNetwork(I3D, I3D, {}, clip_shape("rgb", TRAIN_FRAMES, 1, CROP_SIZE))
    named = {name: (name, {}) for name in FURTHER_NETWORKS} | EXTRA
    for title, (name, arguments) in named.items():
        network = FURTHER_NETWORKS.get(name) or ARCHITECTURES[name]
        stream = arguments.get("stream", "rgb")
        shape = clip_shape(stream, network.train_frames, network.rgb_step, network.crop_size)
        yield ZooNetwork(title, name, arguments, shape)
    for name, shape in IMAGES.items():
        yield ZooNetwork(name, name, {"classes": 400}, shape)

"""The five architectures that the paper compares, with their sampling and published accuracies.

Source: arXiv:1705.07750v3, tables 1 to 4. The numbers of version 1 for miniKinetics, a dataset that
was not released, are left out. Accuracies are top-1 in percent.
"""

from dataclasses import dataclass
from typing import NamedTuple

from i3d_tf.specs.baselines import C3D_CROP_SIZE, C3D_FRAMES, C3D_SHORT_SIDE, FLOW_PER_STEP
from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.streams import (
    CROP_SIZE,
    SHORT_SIDE,
    STREAM_CHOICES,
    TEST_FRAMES,
    TRAIN_FRAMES,
)

DATASETS = ("ucf101", "hmdb51", "kinetics400")  # split 1 of the first two


class Accuracy(NamedTuple):
    """Published top-1 accuracies of one architecture on one dataset, percent; None: not given.

    Attributes:
        dataset: One of `DATASETS`, for training and test.
        from_images: Whether training starts from ImageNet weights.
        rgb: Accuracy of the RGB stream alone.
        flow: Accuracy of the flow stream alone.
        joint: Accuracy of both.
    """

    dataset: str
    from_images: bool
    rgb: float | None = None
    flow: float | None = None
    joint: float | None = None


@dataclass(frozen=True)
class Architecture:
    """One row of the comparison.

    A clip is a window of consecutive frames at 25 per second. Flow networks get all of them, RGB
    networks those of `i3d_tf.specs.protocol.frame_indices`.

    Attributes:
        name: Name for `i3d_tf.zoo.build`.
        title: Name in the paper.
        published_parameters: Millions, table 1.
        train_frames: Frames of a window in training.
        test_frames: Frames of a window at test time.
        test_windows: Windows of a test video, spread evenly; their predictions are averaged.
        min_frames: Frames of the shortest window that the network takes.
        rgb_step: Frames from one that an RGB network gets to the next.
        crop_size: Pixels, side of the square that the network gets.
        short_side: Pixels, after resizing.
        streams: The streams that the paper reports.
        published: Accuracies of tables 2 (from ImageNet weights), 3 and 4 (from scratch).
    """

    name: str
    title: str
    published_parameters: int
    train_frames: int
    test_frames: int
    test_windows: int
    min_frames: int
    rgb_step: int = 1
    crop_size: int = CROP_SIZE
    short_side: int = SHORT_SIDE
    streams: tuple[str, ...] = STREAM_CHOICES
    published: tuple[Accuracy, ...] = ()


ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            name="convnet_lstm",
            title="ConvNet+LSTM",
            published_parameters=9,
            train_frames=125,  # 25 RGB frames
            test_frames=TEST_FRAMES,  # 50 RGB frames
            test_windows=1,
            min_frames=5,
            rgb_step=5,
            streams=("rgb",),
            published=(
                Accuracy("ucf101", True, rgb=81.0),
                Accuracy("hmdb51", True, rgb=36.0),
                Accuracy("kinetics400", True, rgb=63.3),
                Accuracy("ucf101", False, rgb=54.2),
                Accuracy("hmdb51", False, rgb=18.3),
                Accuracy("kinetics400", False, rgb=53.9),
            ),
        ),
        Architecture(
            name="c3d",
            title="3D-ConvNet",
            published_parameters=79,
            train_frames=C3D_FRAMES,
            test_frames=C3D_FRAMES,
            test_windows=15,  # 240 RGB frames
            min_frames=C3D_FRAMES,
            crop_size=C3D_CROP_SIZE,
            short_side=C3D_SHORT_SIDE,
            streams=("rgb",),
            published=(  # there is no C3D of images
                Accuracy("ucf101", False, rgb=51.6),
                Accuracy("hmdb51", False, rgb=24.3),
                Accuracy("kinetics400", False, rgb=56.1),
            ),
        ),
        Architecture(
            name="two_stream",
            title="Two-Stream",
            published_parameters=12,
            train_frames=FLOW_PER_STEP,  # 1 RGB frame
            test_frames=FLOW_PER_STEP,
            test_windows=25,
            min_frames=FLOW_PER_STEP,
            rgb_step=FLOW_PER_STEP,
            published=(
                Accuracy("ucf101", True, 83.6, 85.6, 91.2),
                Accuracy("hmdb51", True, 43.2, 56.3, 58.3),
                Accuracy("kinetics400", True, 62.2, 52.4, 65.6),
                Accuracy("ucf101", False, joint=83.6),
                Accuracy("hmdb51", False, joint=47.1),
                Accuracy("kinetics400", False, 57.9, 49.6, 62.8),
            ),
        ),
        Architecture(
            name="fused_3d",
            title="3D-Fused",
            published_parameters=39,
            train_frames=50,  # 5 RGB frames
            test_frames=50,
            test_windows=5,
            min_frames=FLOW_PER_STEP,
            rgb_step=FLOW_PER_STEP,
            published=(
                Accuracy("ucf101", True, 83.2, 85.8, 89.3),
                Accuracy("hmdb51", True, 49.2, 55.5, 56.8),
                Accuracy("kinetics400", True, joint=67.2),
                Accuracy("ucf101", False, joint=69.5),
                Accuracy("hmdb51", False, joint=37.3),
                Accuracy("kinetics400", False, joint=62.7),
            ),
        ),
        Architecture(
            name="two_stream_i3d",
            title="Two-Stream I3D",
            published_parameters=25,
            train_frames=TRAIN_FRAMES,
            test_frames=TEST_FRAMES,
            test_windows=1,
            min_frames=MIN_FRAMES,
            published=(
                Accuracy("ucf101", True, 84.5, 90.6, 93.4),
                Accuracy("hmdb51", True, 49.8, 61.9, 66.4),
                Accuracy("kinetics400", True, 71.1, 63.4, 74.2),
                Accuracy("ucf101", False, joint=88.8),
                Accuracy("hmdb51", False, joint=62.2),
                Accuracy("kinetics400", False, 68.4, 61.5, 71.6),
            ),
        ),
    )
}

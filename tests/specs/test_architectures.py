import pytest

from i3d_tf.specs.architectures import ARCHITECTURES, DATASETS
from i3d_tf.specs.protocol import frame_indices
from i3d_tf.specs.streams import FRAME_RATE, STREAM_CHOICES

# Table 1: RGB frames and flow fields, and the seconds they span, in training and at test time.
TABLE_1 = {
    "convnet_lstm": ((25, 0, 5.0), (50, 0, 10.0)),
    "c3d": ((16, 0, 0.64), (240, 0, 9.6)),
    "two_stream": ((1, 10, 0.4), (25, 250, 10.0)),
    "fused_3d": ((5, 50, 2.0), (25, 250, 10.0)),
    "two_stream_i3d": ((64, 64, 2.56), (250, 250, 10.0)),
}


@pytest.mark.parametrize("name", TABLE_1)
def test_sampling_is_that_of_table_1(name):
    architecture = ARCHITECTURES[name]

    def totals(frames, windows):
        rgb = windows * len(frame_indices("rgb", frames, architecture.rgb_step))
        flow = windows * frames if "flow" in architecture.streams else 0
        return rgb, flow, windows * frames / FRAME_RATE

    training, test = TABLE_1[name]
    assert totals(architecture.train_frames, 1) == pytest.approx(training)
    assert totals(architecture.test_frames, architecture.test_windows) == pytest.approx(test)


def test_architectures_are_in_the_order_of_the_paper():
    assert list(ARCHITECTURES) == list(TABLE_1)
    assert [a.published_parameters for a in ARCHITECTURES.values()] == [9, 79, 12, 39, 25]
    assert all(name == a.name for name, a in ARCHITECTURES.items())


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def test_architecture_is_consistent(architecture):
    assert architecture.min_frames <= architecture.train_frames <= architecture.test_frames
    assert len(frame_indices("rgb", architecture.min_frames, architecture.rgb_step)) >= 1
    assert architecture.short_side >= architecture.crop_size
    assert set(architecture.streams) <= set(STREAM_CHOICES)
    assert {row.dataset for row in architecture.published} == set(DATASETS)
    for row in architecture.published:
        given = [value for value in row[2:] if value is not None]
        assert given
        assert all(0 < value < 100 for value in given)
        # An accuracy is published only of a stream that the architecture has.
        assert all(getattr(row, s) is None for s in set(STREAM_CHOICES) - set(architecture.streams))


def test_two_stream_i3d_is_best_as_the_paper_concludes():
    """I3D is best on every dataset, with both streams, from images (table 2)."""
    best = {
        dataset: max(
            (max(v for v in row[2:] if v is not None), architecture.name)
            for architecture in ARCHITECTURES.values()
            for row in architecture.published
            if row.dataset == dataset and row.from_images
        )
        for dataset in DATASETS
    }
    assert best == {
        "ucf101": (93.4, "two_stream_i3d"),
        "hmdb51": (66.4, "two_stream_i3d"),
        "kinetics400": (74.2, "two_stream_i3d"),
    }

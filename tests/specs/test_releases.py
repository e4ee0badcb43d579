import pytest

from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.specs.labels import read_labels
from i3d_tf.specs.published import PUBLISHED_OUTPUT
from i3d_tf.specs.releases import RELEASES, released_name
from i3d_tf.specs.streams import CHANNELS


@pytest.mark.parametrize(
    ("ours", "released"),
    [
        ("Conv3d_1a_7x7/conv_3d/kernel", "Conv3d_1a_7x7/conv_3d/w"),
        ("Logits/Conv3d_0c_1x1/conv_3d/bias", "Logits/Conv3d_0c_1x1/conv_3d/b"),
        (
            "Mixed_5b/Branch_2/Conv3d_0b_3x3/batch_norm/beta",
            "Mixed_5b/Branch_2/Conv3d_0a_3x3/batch_norm/beta",
        ),
        (
            "Mixed_5b/Branch_1/Conv3d_0b_3x3/batch_norm/moving_mean",
            "Mixed_5b/Branch_1/Conv3d_0b_3x3/batch_norm/moving_mean",
        ),
    ],
)
def test_released_name(ours, released):
    assert released_name(ours) == released


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
def test_releases_have_the_variables_and_labels_of_their_network(release):
    shapes = variable_shapes(I3D, CHANNELS[release.stream], release.classes)
    assert len(shapes) == 230
    assert len(read_labels(release.labels)) == release.classes
    assert len({release.data.blob, release.index.blob}) == 2


def test_published_output_names_known_classes_best_first():
    labels = set(read_labels("kinetics400"))
    for output in PUBLISHED_OUTPUT.values():
        logits = [logit for logit, _ in output.top]
        assert logits == sorted(logits, reverse=True)
        assert {label for _, label in output.top} <= labels
        assert len(output.top) == 20


def test_read_labels_are_the_published_ones(shared_dir):
    for count in (400, 600):
        text = (shared_dir / f"golden/label_map_kinetics{count}.txt").read_text("utf-8")
        assert read_labels(f"kinetics{count}") == tuple(text.splitlines())


def test_read_labels_names_the_choices():
    with pytest.raises(ValueError, match=r"'kinetics700'.* received 'kinetics800'"):
        read_labels("kinetics800")

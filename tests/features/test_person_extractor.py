"""Features of persons in boxes, of networks on persons and of I3D."""

import dataclasses

import keras
import numpy as np
import pytest

from i3d_tf.data.feature_file import read_features
from i3d_tf.features.extract_features import extract_feature_files
from i3d_tf.features.person_extractor import PersonFeatureOptions
from i3d_tf.models.person_i3d import person_i3d
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_clip
from i3d_tf.video.transforms import preprocess_input, resize_short_side
from i3d_tf.weights.assign import assign_weights, read_weights
from i3d_tf.zoo import person_network
from i3d_tf.zoo.checkpoint import Checkpoint, open_checkpoint

BOXES = "a,0.4,0,0,0.5,1,,3\na,0.4,0.5,0,1,1,,7\na,0.8,0,0,1,1,,3\n"


@pytest.mark.slow
def test_rows_are_the_persons_of_i3d(tmp_path, small_dir, write_grey_video):
    video = write_grey_video(tmp_path / "a.mp4", range(0, 200, 8))
    (tmp_path / "boxes.csv").write_text(BOXES)
    options = PersonFeatureOptions(str(tmp_path / "boxes.csv"), "small_rgb", small_dir, window=10)
    report = extract_feature_files([video], tmp_path / "out", options)
    assert (report.extracted, report.failed) == (1, ())
    found = read_features(tmp_path / "out/a.npy")
    np.testing.assert_allclose(found.times[0], [0.2, 0.4, 0.6])
    np.testing.assert_allclose(found.times[2], [0.6, 0.8, 1.0])
    assert found.metadata["row_persons"] == [3, 7, 3]
    assert found.metadata["row_boxes"][1] == [0.5, 0, 1, 1]
    assert found.metadata["channels"] == {"rgb": [0, found.features.shape[1]]}

    i3d = open_checkpoint("small_rgb", small_dir)
    model = person_i3d((None, None, None, 3), width_multiplier=1 / 16, classes=1)
    values = {p: v for p, v in read_weights(i3d.model).items() if not p.startswith("Logits/")}
    head = [each.path for each in model.weights if each.path.startswith("Logits/")]
    assign_weights(model, values, ignore_target=head)
    features = keras.Model(model.input, model.get_layer("person_features").output)
    frames = resize_short_side(read_clip(video), i3d.protocol.short_side)[5:15]
    clip = preprocess_input(frames)[np.newaxis]
    boxes = np.array([[[0, 0, 0.5, 1], [0.5, 0, 1, 1]]], np.float32)
    expected = np.array(features({"clip": clip, "boxes": boxes}, training=False))[0]
    np.testing.assert_allclose(found.features[:2], expected, atol=1e-4 * np.abs(expected).max())

    again = extract_feature_files([video], tmp_path / "out", options)
    assert (again.extracted, again.kept) == (0, 1)
    with pytest.raises(ValueError, match="made with other settings: window 10, not 12"):
        extract_feature_files([video], tmp_path / "out", dataclasses.replace(options, window=12))


def test_network_without_layers_of_i3d_is_refused(monkeypatch):
    clip = keras.Input((None, None, None, 3))
    other = keras.Model(clip, keras.layers.GlobalAveragePooling3D()(clip))
    opened = Checkpoint("other", other, "rgb", ("a",), Protocol(), "")
    monkeypatch.setattr(person_network, "open_checkpoint", lambda *_, **__: opened)
    with pytest.raises(ValueError, match="other: it is not I3D, whose layers can look at persons"):
        person_network.open_person_features("other")

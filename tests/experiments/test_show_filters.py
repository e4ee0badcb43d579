import cv2
import keras
import numpy as np
import pytest
from PIL import Image

from i3d_tf.experiments.show_filters import (
    ANIMATION,
    SHEET,
    caption_of,
    first_kernel,
    write_filter_pictures,
)
from i3d_tf.models.inception import inception_v1
from i3d_tf.viz.filters import filter_frames, filter_sheet, paint_filters
from i3d_tf.weights.assign import WeightsError


def small_model(layer, *shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


@pytest.fixture(scope="module")
def networks(tiny_dir, tmp_path_factory):
    """Two networks by name, a 2D one by its weights, and a training run of a small model."""
    folder = tmp_path_factory.mktemp("networks")
    inception_v1(width_multiplier=1 / 16, classes=5).save_weights(folder / "flat.weights.h5")
    (folder / "run").mkdir()
    (folder / "run/run.json").write_text("{}")
    inputs = keras.Input((8, 8, 8, 3))
    outputs = keras.layers.Conv3D(2, 1)(keras.layers.Conv3D(5, 3)(inputs))
    keras.Model(inputs, outputs).save(folder / "run/best.keras")
    return {
        "tiny_rgb": (7, 7, 7, 3, 4),
        "tiny_flow": (7, 7, 7, 2, 4),
        folder / "flat.weights.h5": (7, 7, 3, 4),
        folder / "run": (3, 3, 3, 3, 5),
    }


def test_first_kernel_of_every_kind_of_network(networks, tiny_dir):
    assert {name: first_kernel(name, tiny_dir).shape for name in networks} == networks
    run = list(networks)[-1]
    expected = keras.saving.load_model(run / "best.keras").get_weights()[0]
    for name in (run, run / "best.keras"):
        np.testing.assert_array_equal(first_kernel(name, tiny_dir), expected)


def test_write_filter_pictures_writes_a_sheet_and_an_animation(networks, tiny_dir, tmp_path):
    output_dir = tmp_path / "new folder"
    paths = write_filter_pictures(list(networks), output_dir, tiny_dir, scale=2)
    assert paths == (output_dir / SHEET, output_dir / ANIMATION)
    assert sorted(path.name for path in output_dir.iterdir()) == sorted([SHEET, ANIMATION])
    rows = [
        (caption_of(name), paint_filters(first_kernel(name, tiny_dir), scale=2))
        for name in networks
    ]
    assert [caption for caption, _ in rows] == ["tiny_rgb", "tiny_flow", "flat", "run"]
    sheet = cv2.imdecode(np.frombuffer(paths[0].read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(sheet, filter_sheet(rows))
    with Image.open(paths[1]) as animation:
        assert animation.n_frames == len(filter_frames(rows)) == 7


def test_write_filter_pictures_refuses_networks_without_such_a_layer(tiny_dir, tmp_path):
    inception_v1(input_shape=(None, None, 20), width_multiplier=1 / 16, classes=5).save_weights(
        tmp_path / "stack.weights.h5"
    )
    small_model(keras.layers.Dense(2), 4).save(tmp_path / "dense.keras")
    for names, error, message in (
        ([], ValueError, "must name at least one network"),
        (["tiny_rgb", "nothing"], FileNotFoundError, "No weights named 'nothing'"),
        ([tmp_path / "nothing.keras"], FileNotFoundError, r"nothing\.keras: no such "),
        ([tmp_path / "stack.weights.h5"], ValueError, r"received \(7, 7, 20, 4\)"),
        ([tmp_path / "dense.keras"], WeightsError, "a network without a convolution"),
    ):
        with pytest.raises(error, match=message):
            write_filter_pictures(names, tmp_path / "out", tiny_dir)
    assert not (tmp_path / "out").exists()


def test_write_filter_pictures_of_the_networks_that_ship(repository_root, tmp_path):
    names = ["stick_actions_rgb", "stick_actions_flow"]
    paths = write_filter_pictures(names, tmp_path, repository_root / "checkpoints")
    assert all(path.stat().st_size > 10_000 for path in paths)

"""Flow of both directions: from training to the logits of evaluation and prediction."""

import dataclasses

import cv2
import numpy as np
import pytest

from i3d_tf.data.flow_store import FlowStore
from i3d_tf.data.pipeline import PipelineConfig
from i3d_tf.data.readers import read_dataset
from i3d_tf.inference.dataset_logits import compute_logits, forward_function
from i3d_tf.inference.predictor import Predictor
from i3d_tf.specs.recipes import for_model
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.video.encode import write_video
from i3d_tf.zoo.checkpoint import open_checkpoint

FIELDS, SIZE, WINDOWS = 6, 32, 3
HALF = FIELDS // 2


@pytest.fixture(scope="module")
def moving_dir(tmp_path_factory):
    """Two classes of clips of a texture that moves right by 1 or 2 pixels a frame.

    The first test clip of each is shorter than a window.
    """
    folder = tmp_path_factory.mktemp("both") / "moving"
    texture = np.kron(np.random.default_rng(0).integers(40, 215, (5, 40)), np.ones((8, 8)))
    for split, lengths in (("train", (14, 12)), ("test", (10, 15))):
        for speed, name in ((1, "slow"), (2, "fast")):
            (folder / split / name).mkdir(parents=True)
            for number, length in enumerate(lengths):
                views = [texture[:, 60 - speed * t :][:, :48] for t in range(length)]
                frames = np.stack(views)[..., None].repeat(3, -1).astype(np.uint8)
                write_video(folder / split / name / f"{number}.mp4", frames)
    return folder


@pytest.fixture(scope="module")
def recipe(request):
    tiny = request.getfixturevalue("tiny_recipe")
    return dataclasses.replace(
        for_model(tiny, "two_stream_2014"),
        stream="flow",
        flow_direction="both",
        train_frames=FIELDS,
        test_frames=FIELDS,
        test_windows=WINDOWS,
        rgb_step=FIELDS,
        short_side=40,
        crop_size=SIZE,
        steps=2,
        evaluate_every=2,
        # Trajectories start twice, so that the order of the fields matters to more than a kernel.
        network_arguments={"stacking": "trajectory", "subtract_mean_flow": False},
    )


CENTER = ((4, 8),)
CORNERS = (*CENTER, (0, 0), (0, 16), (8, 0), (8, 16))  # top and left of crops of 40 x 48


def independent_logits(path, model, crops=CENTER, is_mirrored=(False,)):
    """The mean logits of a video, of frames by OpenCV and fields pair by pair.

    The video has FIELDS frames or more, at 25 per second, and a short side of 40 pixels.
    """
    capture, grey = cv2.VideoCapture(str(path)), []
    while (frame := capture.read())[0]:
        grey.append(cv2.cvtColor(frame[1], cv2.COLOR_BGR2GRAY))
    assert grey[0].shape == (40, 48)
    engine = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def field(start, end):
        if end == len(grey):  # the last frame has the flow of the one before
            start, end = start - 1, end - 1
        flow = engine.calc(grey[start], grey[end], None)
        codes = np.floor(np.clip((flow + 20) * 255 / 40, 0, 255) + 0.5)
        return (codes * 40 / 255 - 20) / 20

    logits = []
    last_start = len(grey) - FIELDS
    for start in (0, last_start // 2, last_start):
        middle = start + HALF
        forward = [field(middle + k, middle + k + 1) for k in range(HALF)]
        backward = [field(middle - k, middle - k - 1) for k in range(HALF)]
        clip = np.stack([*forward, *backward])[None].astype(np.float32)
        for top, left in crops:
            for mirrored in is_mirrored:
                view = clip[:, :, top : top + SIZE, left : left + SIZE]
                if mirrored:
                    view = view[:, :, :, ::-1] * np.array([-1, 1], np.float32)
                logits.append(model(view, training=False).numpy()[0])
    return np.mean(logits, axis=0)


@pytest.mark.slow
@pytest.mark.usefixtures("eager_training")
def test_evaluation_and_prediction_of_both_directions_equal_an_independent_computation(
    recipe, moving_dir, tmp_path, random_weights
):
    options = TrainOptions(
        data_dir=str(moving_dir),
        workdir=str(tmp_path / "run"),
        flow_dir=str(tmp_path / "flow"),
        flow_engine="dis",
    )
    train(recipe, options)
    checkpoint = open_checkpoint(tmp_path / "run")
    assert checkpoint.protocol == recipe.protocol
    assert checkpoint.protocol.flow_direction == "both"
    assert checkpoint.model.get_layer("follow_trajectories").directions == 2
    # Two steps leave logits of nearly 0, whatever a network sees.
    random_weights(checkpoint.model)
    kernel = checkpoint.model.get_layer("conv1").kernel
    kernel.assign(20 * kernel)  # flow of 2 pixels is 0.1
    checkpoint.model.save(tmp_path / "run" / "best.keras")

    dataset = read_dataset("class_folders", str(moving_dir), "test")
    store = FlowStore(tmp_path / "flow", checkpoint.protocol, moving_dir, "dis")
    config = PipelineConfig(
        dataset.examples, ("flow",), checkpoint.protocol, 2, seed=0, flow_store=store
    )
    evaluated, failures = compute_logits(forward_function(checkpoint.model), config)
    assert not failures.reasons
    predictor = Predictor("flow", str(tmp_path / "run"), flow_engine="dis", flow_rounding="nearest")
    for example, logits in zip(dataset.examples, evaluated, strict=True):
        prediction = predictor.predict(example.path, top=2)
        predicted = {each.label: each.logit for each in prediction.top}
        expected = independent_logits(example.path, checkpoint.model)
        np.testing.assert_allclose(logits, expected, atol=1e-5)
        np.testing.assert_allclose(
            [predicted[name] for name in dataset.class_names], expected, atol=1e-5
        )
    # The paper's ten crops of each window.
    ten = {"crops": 10, "crop_set": "corners"}
    video = dataset.examples[-1]
    expected = independent_logits(video.path, checkpoint.model, CORNERS, (False, True))
    protocol = dataclasses.replace(checkpoint.protocol, **ten)
    (found,), _ = compute_logits(
        forward_function(checkpoint.model),
        dataclasses.replace(config, examples=[video], protocol=protocol),
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    predictor = Predictor(
        "flow",
        str(tmp_path / "run"),
        flow_engine="dis",
        flow_rounding="nearest",
        protocol=ten,
    )
    predicted = {each.label: each.logit for each in predictor.predict(video.path, top=2).top}
    np.testing.assert_allclose(
        [predicted[name] for name in dataset.class_names], expected, atol=1e-5
    )
    # Not by luck: with the fields of the other direction the logits are others.
    forward = dataclasses.replace(checkpoint.protocol, flow_direction="forward")
    other, _ = compute_logits(
        forward_function(checkpoint.model), dataclasses.replace(config, protocol=forward)
    )
    assert np.abs(other - evaluated).max() > 1e-3

"""What the tests of whole jobs share."""

import importlib.util

import numpy as np
import pytest


@pytest.fixture(scope="session")
def recipe(shared_dir):
    """The module that makes the references' weights and inputs from names alone."""
    spec = importlib.util.spec_from_file_location("recipe", shared_dir / "golden/recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def assert_meets():
    """Function: (model, inputs, reference) -> asserts that logits and endpoints agree."""
    import keras

    # Both sides compute in float32, perhaps in another order: 5e-7 of the logits and 7e-6 of an
    # endpoint were measured, and other processors may add a digit. A batch-norm epsilon of 1e-5 for
    # 1e-3, a small mistake, moves the logits by 1e-2.
    tolerance = 1e-4  # of the norm of the logits; of the standard deviation of an endpoint

    def compare(model, inputs, reference):
        names = [key.removeprefix("mean/") for key in reference if key.startswith("mean/")]
        assert len(names) == 16
        outputs = {name: model.get_layer(name).output for name in names}
        answer = keras.Model(model.input, {"logits": model.output, **outputs})(inputs)
        logits = np.array(answer["logits"])
        norm = np.linalg.norm(reference["logits"])
        assert np.linalg.norm(logits - reference["logits"]) <= tolerance * norm
        for name in names:
            value = np.array(answer[name])
            if f"shape/{name}" in reference:
                assert value.shape == tuple(reference[f"shape/{name}"])
            allowed = tolerance * reference[f"std/{name}"]
            assert abs(value.mean(dtype=np.float64) - reference[f"mean/{name}"]) <= allowed, name
            assert abs(value.std(dtype=np.float64) - reference[f"std/{name}"]) <= allowed, name
            places = np.linspace(0, value.size - 1, 64).astype(int)
            error = np.abs(value.reshape(-1)[places] - reference[f"sample/{name}"])
            assert error.max() <= allowed, name

    return compare


@pytest.fixture
def six_clips():
    """Function: changes -> an Evaluation of six clips of three classes, two streams.

    RGB takes a jump for a run and both sits for a jump; flow is right but for the first sit. In
    their sum flow outweighs RGB, so that the first sit, clip 4, is the only one wrong.
    """
    from i3d_tf.runs.report import Evaluation

    def answer(best, logit):
        logits = np.zeros((6, 3), np.float32)
        logits[np.arange(6), best] = logit
        return logits

    def build(**changes):
        parts = {
            "class_names": ("run", "jump", "sit"),
            "paths": tuple(f"data/clip_{k}.mp4" for k in range(6)),
            "labels": np.array([0, 0, 1, 1, 2, 2]),
            "logits": {
                "flow": answer([0, 0, 1, 1, 1, 2], 4.0),
                "rgb": answer([0, 0, 1, 0, 1, 1], 2.0),
            },
            "protocol": {"frames": 250, "frame_rate": 25.0, "crops": 1, "flow_engine": "numba"},
        }
        return Evaluation(**{**parts, **changes})

    return build


SQUARES = {"down": (1, 0), "left": (0, -1), "right": (0, 1), "up": (-1, 0)}  # pixels a frame


def moving_square(direction, start, frames=24, size=48):
    """uint8 (T, size, size, 3): a white square of 16 pixels moves over black, around the edges."""
    clip = np.zeros((frames, size, size, 3), np.uint8)
    clip[:, 16:32, 16:32] = 255
    for time, frame in enumerate(clip):
        steps = (start + 2 * time) * np.array(SQUARES[direction])
        clip[time] = np.roll(frame, steps, axis=(0, 1))
    return clip


@pytest.fixture(scope="session")
def squares_dir(tmp_path_factory):
    """A dataset of class folders: 3 training clips and 1 test clip of each of four directions."""
    from i3d_tf.video.encode import write_video

    folder = tmp_path_factory.mktemp("squares")
    for split, count in (("train", 3), ("test", 1)):
        for direction in SQUARES:
            (folder / split / direction).mkdir(parents=True)
            for number in range(count):
                clip = moving_square(direction, 11 * number + (split == "test"))
                write_video(folder / split / direction / f"{number}.mp4", clip)
    return folder


@pytest.fixture(scope="session")
def tiny_recipe():
    """A recipe whose steps take milliseconds, for the dataset of `squares_dir`."""
    from i3d_tf.specs.recipes import Recipe

    return Recipe(
        name="tiny",
        description="Twelve steps of a narrow network.",
        dataset="class_folders",
        stream="rgb",
        train_frames=9,
        test_frames=9,
        short_side=40,
        crop_size=32,
        width_multiplier=1 / 16,
        batch_norm_momentum=0.9,
        batch_size=2,
        steps=12,
        learning_rates=(0.02,),
        evaluate_every=6,
    )


@pytest.fixture
def restored_settings():
    """Puts back what a training run sets for the whole process."""
    import keras
    from tensorflow.python.framework.config import disable_op_determinism

    yield
    disable_op_determinism()
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def eager_training(monkeypatch, restored_settings):
    """No graphs: a step takes longer, and the seconds before the first one are saved."""
    from i3d_tf.runs import training_model

    compile_model = training_model.compile_model

    def compiled(model, *arguments):
        compile_model(model, *arguments)
        model.run_eagerly = True

    monkeypatch.setattr(training_model, "compile_model", compiled)


@pytest.fixture(scope="session")
def small_dir(tmp_path_factory, random_weights):
    """A checkpoint directory with `small_rgb` and `small_flow`, which see 32 x 32 of short side 40.

    All their weights are random, so that what comes out depends on what goes in.
    """
    from i3d_tf.models.inception_i3d import inception_i3d
    from i3d_tf.weights.store import save_weights

    directory = tmp_path_factory.mktemp("small")
    for seed, (stream, channels) in enumerate((("rgb", 3), ("flow", 2))):
        model = inception_i3d(
            input_shape=(None, None, None, channels), classes=5, width_multiplier=1 / 16
        )
        row = {
            "stream": stream,
            "classes": 5,
            "labels": ["one", "two", "three", "four", "five"],
            "width_multiplier": 1 / 16,
            "protocol": {"short_side": 40, "crop_size": 32},
        }
        save_weights(random_weights(model, seed), f"small_{stream}", directory, row)
    return directory


@pytest.fixture(scope="session")
def moving_video(tmp_path_factory):
    """Function: number of frames -> path of a video, 48 x 64: a texture that moves about."""
    from i3d_tf.video.encode import write_video

    folder = tmp_path_factory.mktemp("moving")
    texture = np.random.default_rng(0).integers(0, 256, (16, 40, 3)).astype(np.uint8)
    texture = np.kron(texture, np.ones((4, 4, 1), np.uint8))  # blocks, so that the codec keeps them

    def write(num_frames):
        path = folder / f"{num_frames}.mp4"
        if not path.exists():
            steps = [int(40 + 40 * np.sin(frame / 9)) for frame in range(num_frames)]
            write_video(path, (texture[8:56, step : step + 64] for step in steps))
        return path

    return write

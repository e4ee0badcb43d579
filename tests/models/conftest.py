"""What every baseline network promises, as functions that its tests call."""

import keras
import numpy as np
import pytest

CLIPS = 8
CLASSES = 4


def _random_clips(shape, count):
    generator = np.random.default_rng(0)
    if isinstance(shape, dict):
        return {name: _random_clips(part, count) for name, part in shape.items()}
    return generator.uniform(-1, 1, (count, *shape)).astype("float32")


@pytest.fixture(scope="session")
def random_clips():
    """Function: (shape, or stream to shape; number of clips) -> clips, the same at every call."""
    return _random_clips


@pytest.fixture
def assert_saves(tmp_path):
    """Function: (network, clips); it comes back from a file, in safe mode, as it was."""

    def check(model, clips):
        expected = np.array(model(clips))
        paths = [variable.path for variable in model.weights]
        assert len(set(paths)) == len(paths)
        model.save(tmp_path / "network.keras")
        loaded = keras.models.load_model(tmp_path / "network.keras", safe_mode=True)
        assert [variable.path for variable in loaded.weights] == paths
        np.testing.assert_array_equal(np.array(loaded(clips)), expected)
        assert np.ptp(expected) > 0

    return check


@pytest.fixture
def assert_float32_logits():
    """Function: (function that builds, clips); in mixed precision, the logits are float32."""
    before = keras.config.dtype_policy()

    def check(build, clips):
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = build()
        keras.config.set_dtype_policy(before)
        logits = model(clips)
        assert keras.backend.standardize_dtype(logits.dtype) == "float32"
        assert model.output.dtype == "float32"
        assert np.isfinite(np.array(logits)).all()
        computed = {layer.compute_dtype for layer in model._flatten_layers() if layer.weights}
        assert "bfloat16" in computed
        assert {variable.dtype for variable in model.weights} == {"float32"}

    yield check
    keras.config.set_dtype_policy(before)


@pytest.fixture
def accuracy_after_training():
    """Function: (network of four classes, clip shape, learning rate, steps) -> accuracy.

    Eight random clips with labels that nothing but memory explains, seen at every step; after it,
    the same clips are answered with the running statistics of batch norm. The steps are not
    compiled: so few take less time than that.
    """

    def train(model, shape, learning_rate, steps):
        clips = _random_clips(shape, CLIPS)
        labels = np.arange(CLIPS) % CLASSES
        if len(model.output_shape) == 3:  # an answer at every step
            labels = np.repeat(labels[:, None], model.output_shape[1], axis=1)
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.5
        model.compile(
            keras.optimizers.SGD(learning_rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            run_eagerly=True,
        )
        model.fit(clips, labels, batch_size=CLIPS, epochs=steps, shuffle=False, verbose=0)
        logits = np.array(model(clips))
        if logits.ndim == 3:
            logits, labels = logits[:, -1], labels[:, -1]
        return (logits.argmax(axis=1) == labels).mean()

    return train

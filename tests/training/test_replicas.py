"""Training on several replicas equals training on one device with the whole batch."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from fixtures.replicas import OPTIONS, SECONDS, check_equal, train_on

from i3d_tf.training.settings import RunBatch, share_batch


@pytest.mark.slow
def test_two_replicas_equal_one_device_with_the_whole_batch(
    replica_recipe, replica_dir, one_device, tmp_path
):
    options = {"data_dir": replica_dir, "sync_batch_norm": True, **OPTIONS}
    done = train_on(2, replica_recipe, workdir=str(tmp_path), **options)
    assert done.returncode == 0, done.stderr
    assert "50 steps of 4 clips" in done.stdout
    check_equal(tmp_path, one_device)


@pytest.mark.slow
def test_run_goes_on_with_another_number_of_replicas(
    replica_recipe, replica_dir, one_device, tmp_path
):
    options = {
        "data_dir": replica_dir,
        "workdir": str(tmp_path / "run"),
        "sync_batch_norm": True,
        **OPTIONS,
    }
    done = train_on(2, dataclasses.replace(replica_recipe, steps=25), **options)
    assert done.returncode == 0, done.stderr
    done = train_on(3, replica_recipe, **options)
    assert done.returncode == 1
    assert "a run with batches of 4 clips, which 3 replicas cannot share. Show as" in done.stderr
    done = train_on(1, replica_recipe, **options)
    assert done.returncode == 0, done.stderr
    assert "goes on with 1 replica of 4 clips instead of 2 replicas of 2 clips." in done.stdout
    assert "going on from step 25 of 50" in done.stdout
    check_equal(tmp_path / "run", one_device)
    record = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    settings = record["settings"]
    assert (settings["batch_size"], settings["replicas"], record["replicas"]) == (2, 2, 1)


ARITHMETIC = """
import keras, numpy as np, tensorflow as tf
from i3d_tf.training.model import seed_dropout
from i3d_tf.training.optimization import PersonCrossentropy
from i3d_tf.training.replicas import compute_gradients, share_steps

(cpu,) = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())

def parts(*values):
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(values[context.replica_id_in_sync_group], tf.float32)
    )

def results(values):
    return [value.numpy().tolist() for value in strategy.experimental_local_results(values)]

"""


@pytest.fixture(scope="module")
def printed():
    """Name of a program for two replicas -> the lines that it prints; one process runs all."""
    programs = {"dropout": DROPOUT, "overflow": OVERFLOW, "persons": PERSONS}
    parts = [f"print(json.dumps({name!r}))\n{program}" for name, program in programs.items()]
    done = subprocess.run(
        [sys.executable, "-c", "import json\n" + ARITHMETIC + "\n".join(parts)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    lines = {}
    for line in map(json.loads, done.stdout.splitlines()):
        if isinstance(line, str):
            last = lines.setdefault(line, [])
        else:
            last.append(line)
    return lines


DROPOUT = """
with strategy.scope():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dropout(0.5)])
ones = parts(np.ones((1, 64)), np.ones((1, 64)))
for seed, step in ((0, 0), (0, 0), (0, 1)):
    seed_dropout(model, seed, step)
    print(results(strategy.run(lambda x: model(x, training=True), args=(ones,))))
"""


@pytest.mark.slow
def test_dropout_differs_between_replicas_and_follows_from_the_step(printed):
    first, again, later = printed["dropout"]
    assert first == again
    assert first[0] != first[1]
    assert first[0] != later[0]
    assert first[1] != later[1]


OVERFLOW = """
with strategy.scope():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5), initial_scale=8.0)
    model.compile(optimizer, keras.losses.MeanAbsoluteError(), jit_compile=False)
    optimizer.build(model.trainable_variables)
    share_steps(model)
model.layers[0].kernel.assign([[1.0]])
zero, one = np.zeros((1, 1)), np.ones(1)
step = tf.function(lambda *parts: strategy.run(model.train_step, args=(parts,)))
for second in (np.inf, 3.0):
    inputs = parts([[1.0]], [[second]])
    step(inputs, parts(zero, zero), parts(one, one))
    print([model.layers[0].kernel.numpy().item(), optimizer.dynamic_scale.numpy().item()])
"""


@pytest.mark.slow
def test_overflow_on_the_second_replica_alone_leaves_the_weights(printed):
    """The gradient of |w x| is x: 1 and infinity, then 1 and 3, which are 2 on average."""
    assert printed["overflow"] == [[1.0, 4.0], [0.0, 4.0]]


PERSONS = """
with strategy.scope():
    model = keras.Sequential([keras.Input((None, 1)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", PersonCrossentropy(), jit_compile=False)
model.layers[0].kernel.assign([[0.0]])
inputs = parts([[[1.0], [2.0]]], [[[4.0], [64.0]]])
targets = parts(np.ones((1, 2, 1)), np.ones((1, 2, 1)))
weights = parts([[1.0, 1.0]], [[1.0, 0.0]])

def compute(*data):
    (gradient,), logs = compute_gradients(model, data)
    return gradient, logs["loss"]

gradients, losses = strategy.run(compute, args=(inputs, targets, weights))
print(results(gradients))
print(results(losses))
"""


@pytest.mark.slow
def test_loss_of_persons_is_the_mean_over_the_persons_of_all_replicas(printed):
    """At logit 0, the gradient is -x / 2: of persons 1, 2 and 4, -7 / 6 on average."""
    gradients, losses = printed["persons"]
    np.testing.assert_allclose(gradients, np.full((2, 1, 1), -7 / 6), rtol=1e-6)
    assert np.mean(losses) == pytest.approx(np.log(2), rel=1e-6)


def record(**settings):
    return {"settings": {"batch_size": 8, "replicas": 2, **settings}}


@pytest.mark.parametrize(
    ("batch_size", "replicas", "clips"),
    [(8, 2, 8), (8, 1, 16), (16, 1, 16), (8, 4, 4), (4, 4, 4), (8, 16, 1)],
)
def test_replicas_share_the_batch_of_the_run(batch_size, replicas, clips):
    batch = share_batch("run", batch_size, replicas, record())
    assert (batch.clips, batch.size) == (clips, 16)
    assert batch.settings == {"batch_size": 8, "replicas": 2}
    assert (batch.change is None) == (replicas == 2)


def test_change_of_replicas_is_that_since_the_run_was_started_last():
    before = {**record(), "replicas": 4}
    assert (
        "goes on with 2 replicas of 8 clips instead of 4 replicas"
        in share_batch("run", 8, 2, before).change
    )
    assert share_batch("run", 8, 4, before).change is None


def test_another_batch_is_left_for_the_settings_to_refuse():
    batch = share_batch("run", 4, 2, record())
    assert batch.settings == {"batch_size": 4, "replicas": 2}


def test_new_run_has_the_batch_of_its_recipe():
    assert share_batch("run", 8, 2) == RunBatch(8, 2, {"batch_size": 8, "replicas": 2})


def test_share_batch_refuses_replicas_that_cannot_share_it():
    message = r"run: holds a run with batches of 16 clips, which 3 replicas cannot share\. Show as"
    with pytest.raises(ValueError, match=message):
        share_batch("run", 8, 3, record())


def test_share_batch_refuses_damaged_settings():
    with pytest.raises(ValueError, match=r"run\.json: .*batch_size"):
        share_batch("run", 8, 2, record(batch_size="8"))

"""Trains or fine-tunes I3D, or one of the paper's baselines, on a folder of videos.

python tools/train.py --recipe=finetune --data_dir=my_videos
python tools/train.py --recipe=stick_actions --data_dir=stick --workdir=runs/rgb
python tools/train.py --recipe=ucf101 --data_dir=UCF --init=rgb_imagenet --transfer=full --workdir=r
python tools/train.py --recipe=charades_rgb --data_dir=Charades_v1_480 \
    --intervals=Charades_v1_train.csv --test_intervals=Charades_v1_test.csv
python tools/train.py --recipe=stick_actions --task=persons --data_dir=videos \
    --boxes=train.csv --test_boxes=val.csv --label_map=actions.pbtxt
python tools/train.py --recipe=ucf101 --data_dir=UCF --model=two_stream_2014 --stream=flow \
    --second_data_dir=HMDB --second_dataset=hmdb51 --workdir=runs/both
python tools/train.py --recipe=finetune --records='records/train-*' --test_records='records/test-*'
python tools/train.py --features=features --data_dir=my_videos --workdir=runs/lstm

A stopped run goes on when the same command is given again; also after training videos were added or
removed, and with more --steps. `--model` names a baseline.
"""

import dataclasses
import json
import os

from absl import app, flags

from i3d_tf.specs.geometry import STEP_RULES
from i3d_tf.specs.recipe import CLIP, TASKS, TRANSFERS
from i3d_tf.specs.recipes import FEATURE_RECIPE, RECIPES, for_model, for_task
from i3d_tf.specs.streams import FLOW_DIRECTIONS, FLOW_ENGINES, FLOW_ROUNDINGS
from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    one_line_errors,
    parse_numbers,
    print_lines,
    quiet_tensorflow,
    refuse_arguments,
)
from i3d_tf.system.flags import (
    define_annotation,
    define_flow_flags,
    define_input_processes,
    define_quarantine,
    define_video_flags,
)

_RECIPE = flags.DEFINE_enum(
    "recipe", "stick_actions", tuple(RECIPES), "Schedule; the flags from --dataset on change it."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the dataset.")
_RECORDS = flags.DEFINE_string(
    "records",
    None,
    "Shards of records to train on instead of videos, from make_records.py or another program: a "
    "folder, or a pattern such as 'records/train-*'.",
)
_TEST_RECORDS = flags.DEFINE_string(
    "test_records", None, "Those to evaluate on. Default: a part of every class of --records."
)
_DATA_SERVICE = flags.DEFINE_string(
    "data_service",
    None,
    "Address of a tf.data service, grpc://HOST:PORT, whose workers make the batches of --records; "
    "see tools/data_dispatcher.py. The order of the clips then varies from run to run.",
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of this run. Default: runs/<name of data_dir, or of records>."
)
_FEATURES = flags.DEFINE_string(
    "features",
    None,
    "Folder of the videos' features, from extract_features.py: train a network on them instead of "
    "frames. The recipe is then features, if none is given, and a frame is a row of them.",
)
_FLOW = define_flow_flags(flags, FLOW_ENGINES, FLOW_ROUNDINGS)
_VIDEO = define_video_flags(flags)
_TRANSFER = flags.DEFINE_enum(
    "transfer",
    None,
    TRANSFERS,
    "scratch: all layers, from random weights; fixed: the head, on --init; full: all, from --init. "
    "Default: fixed for the recipe finetune, else scratch.",
)
_INIT = flags.DEFINE_string(
    "init",
    None,
    f"Weights to start from: {CHECKPOINT_HELP}. Default: rgb_scratch for the recipe finetune.",
)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_FREEZE_BATCH_NORM = flags.DEFINE_bool(
    "freeze_batch_norm",
    None,
    "Keep batch norm as it is in --init. Default: true for the recipe finetune.",
)
_PARTIAL_BATCH_NORM = flags.DEFINE_bool(
    "partial_batch_norm", None, "Keep batch norm as it is in --init, but for the first layer."
)
_SYNC_BATCH_NORM = flags.DEFINE_bool(
    "sync_batch_norm", False, "Batch norm sees the clips of all replicas, not those of its own."
)
_ACCUMULATE = flags.DEFINE_integer("accumulate", 1, "Batches per update.", lower_bound=1)
_CLASS_WEIGHTS = flags.DEFINE_bool(
    "class_weights", False, "Weigh classes by the inverse of their frequency."
)
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ("float32", "mixed_bfloat16", "mixed_float16"), "Keras's dtype policy."
)
_DETERMINISTIC = flags.DEFINE_bool(
    "deterministic", False, "Same bits at every run, a little slower."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of weights, order, windows and crops.", lower_bound=0)
_WORKERS = flags.DEFINE_integer("workers", None, "Clips made at once.", lower_bound=1)
_INPUT_PROCESSES = define_input_processes(flags)
_CLUSTER = flags.DEFINE_enum(
    "cluster",
    "auto",
    ("auto", "none"),
    "auto: train together with the processes that TF_CONFIG or SLURM's srun name; none: alone.",
)
_PROFILE = flags.DEFINE_bool("profile", False, "Profile some steps for TensorBoard.")
_ANNOTATION = define_annotation(flags)
_CLASSES = flags.DEFINE_string("classes", None, "File of class names, one a line. Default: all.")
_QUARANTINE = define_quarantine(flags)
_SECOND = (
    flags.DEFINE_string(
        "second_data_dir",
        None,
        "Folder of a second dataset: the network is trained on both, with a head and a loss for "
        "each; two_stream_2014 alone.",
    ),
    flags.DEFINE_string("second_dataset", None, "Its reader. Default: that of the first."),
    flags.DEFINE_string("second_train_split", None, "Its split to train on. Default: the first's."),
    flags.DEFINE_string("second_test_split", None, "Its split to evaluate on."),
    flags.DEFINE_string("second_annotation", None, "Its annotation file, or the folder of these."),
    flags.DEFINE_string("second_quarantine", None, "List of its videos to leave out."),
    flags.DEFINE_string(
        "second_flow_dir", None, "Folder of its flow files. Default: <second_data_dir>/flow."
    ),
)
_HEADS = flags.DEFINE_list(
    "heads",
    None,
    "Names of the two heads, such as ucf101,hmdb51. Default: the readers, or else the folders.",
)
_INTERVALS = flags.DEFINE_string(
    "intervals",
    None,
    "What happens when, for --task=frames and multilabel: a table id,start,end,class with maybe "
    "columns split and duration, Charades's CSV, or super-events' JSON. Videos have the ids as "
    "names, in --data_dir.",
)
_TEST_INTERVALS = flags.DEFINE_string(
    "test_intervals", None, "The same of the test videos, where --intervals has no splits."
)
_BOXES = flags.DEFINE_string(
    "boxes",
    None,
    "Who does what, for --task=persons: rows video,timestamp,x1,y1,x2,y2,action,person as AVA and "
    "AVA-Kinetics have them.",
)
_TEST_BOXES = flags.DEFINE_string("test_boxes", None, "The same of the test videos.")
_LABEL_MAP = flags.DEFINE_string("label_map", None, "The actions of --boxes: AVA's .pbtxt.")
_TIME_OFFSET = flags.DEFINE_float(
    "time_offset", 0.0, "Seconds of --boxes at which the videos start, such as 900."
)

# Fields of the recipe; values that are not given stay as the recipe has them.
_MODEL = flags.DEFINE_string("model", None, "Network, with the sampling that it needs.")
_TASK = flags.DEFINE_enum(
    "task",
    None,
    TASKS,
    "clip: one class a clip; multilabel: the classes of a clip; frames: those of every frame; "
    "persons: those of each person in a frame; the latter two for I3D. Default: the recipe's.",
)
_NETWORK_ARGUMENTS = flags.DEFINE_list(
    "network_arguments",
    None,
    "Further arguments of the network, such as backbone=resnet50,lstm_layers=5.",
)
_OVERRIDES = (
    flags.DEFINE_string("dataset", None, "Name of the dataset's reader."),
    flags.DEFINE_string("stream", None, "rgb or flow; joint for one network with both."),
    flags.DEFINE_string("train_split", None, "Split to train on."),
    flags.DEFINE_string("test_split", None, "Split to evaluate on."),
    flags.DEFINE_integer("train_frames", None, "Frames of a training clip."),
    flags.DEFINE_integer("test_frames", None, "Frames of a test clip."),
    flags.DEFINE_integer("test_windows", None, "Clips of a test video."),
    flags.DEFINE_integer("segments", None, "Snippets of a training clip, of --train_frames each."),
    flags.DEFINE_integer("test_segments", None, "Snippets of a test clip. Default: --segments."),
    flags.DEFINE_integer("rgb_step", None, "RGB gets one of so many frames of a clip."),
    flags.DEFINE_enum(
        "flow_direction",
        None,
        FLOW_DIRECTIONS,
        "Of a flow network's fields; both: half forward, half backward from the middle frame of a "
        "clip, two_stream_2014 alone.",
    ),
    flags.DEFINE_float("frame_rate", None, "Frames per second after resampling."),
    flags.DEFINE_integer("short_side", None, "Pixels, after resizing."),
    flags.DEFINE_integer("crop_size", None, "Pixels, side of the square input."),
    flags.DEFINE_float("width_multiplier", None, "Scales the number of filters everywhere."),
    flags.DEFINE_float("dropout_rate", None, "Dropout before the last convolution."),
    flags.DEFINE_float("batch_norm_momentum", None, "Decay of the running statistics."),
    flags.DEFINE_integer("batch_size", None, "Clips per replica."),
    flags.DEFINE_integer("steps", None, "Updates in all."),
    flags.DEFINE_string("optimizer", None, "sgd or adamw."),
    flags.DEFINE_float("momentum", None, "Momentum of SGD."),
    flags.DEFINE_float("weight_decay", None, "Weight decay per unit of learning rate."),
    flags.DEFINE_float("clip_norm", None, "Largest norm of the gradient of all variables."),
    flags.DEFINE_string("schedule", None, "piecewise or cosine."),
    flags.DEFINE_float("label_smoothing", None, "Share of the labels spread over all classes."),
    flags.DEFINE_string(
        "loss_gain", None, "linear: the loss of later steps weighs more; for logits at every step."
    ),
    flags.DEFINE_enum(
        "step_rule",
        None,
        STEP_RULES,
        "Where I3D's steps are in time, for --task=frames: at the middles of what they see, or as "
        "PyTorch's linear upsampling takes them.",
    ),
    flags.DEFINE_integer("max_boxes", None, "Persons of a training clip, for --task=persons."),
    flags.DEFINE_bool("flip", None, "Mirror training clips at random."),
    flags.DEFINE_float("jitter", None, "Strength of random color changes; RGB only."),
    flags.DEFINE_integer("evaluate_every", None, "Steps between evaluations."),
)
_CROP_SCALES = flags.DEFINE_list(
    "crop_scales",
    None,
    "Sizes of training crops as shares of the short side, such as 1,.875,.75,.66: corner cropping "
    "and scale jittering of TSN. Default: squares of --crop_size at random places.",
)
_BOUNDARIES = flags.DEFINE_list("boundaries", None, "Steps at which the learning rate changes.")
_LEARNING_RATES = flags.DEFINE_list("learning_rates", None, "One rate more than --boundaries.")


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        recipe = _recipe()
        quiet_tensorflow()
        from i3d_tf.training.settings import TrainOptions
        from i3d_tf.training.train import train
        from i3d_tf.video.frame_folder import set_reading

        set_reading(**_VIDEO.values())
        options = TrainOptions(
            data_dir=_DATA_DIR.value,
            workdir=_WORKDIR.value or _default_workdir(),
            flow_dir=_flow_dir(),
            flow_engine=_FLOW.flow_engine.value,
            flow_rounding=_FLOW.flow_rounding.value,
            transfer=_TRANSFER.value,
            init=_INIT.value,
            checkpoint_dir=_CHECKPOINT_DIR.value,
            freeze_batch_norm=_FREEZE_BATCH_NORM.value,
            partial_batch_norm=_PARTIAL_BATCH_NORM.value,
            sync_batch_norm=_SYNC_BATCH_NORM.value,
            accumulate=_ACCUMULATE.value,
            class_weights=_CLASS_WEIGHTS.value,
            precision=_PRECISION.value,
            deterministic=_DETERMINISTIC.value,
            seed=_SEED.value,
            workers=_WORKERS.value,
            input_processes=_INPUT_PROCESSES.value,
            profile=_PROFILE.value,
            annotation=_ANNOTATION.value,
            classes=_CLASSES.value,
            quarantine=_QUARANTINE.value,
            features=_FEATURES.value,
            intervals=_INTERVALS.value,
            test_intervals=_TEST_INTERVALS.value,
            boxes=_BOXES.value,
            test_boxes=_TEST_BOXES.value,
            label_map=_LABEL_MAP.value,
            time_offset=_TIME_OFFSET.value,
            second=_second(),
            cluster=_CLUSTER.value,
            heads=None if _HEADS.value is None else tuple(_HEADS.value),
            records=_RECORDS.value,
            test_records=_TEST_RECORDS.value,
            data_service=_DATA_SERVICE.value,
        )
        workdir = train(recipe, options)
        print_lines(f"best: {workdir.best}", f"last: {workdir.latest()[1]}")


def _recipe():
    """Returns the chosen recipe with the fields that flags override."""
    changes = {flag.name: flag.value for flag in _OVERRIDES if flag.value is not None}
    numbers = ((_BOUNDARIES, int), (_LEARNING_RATES, float), (_CROP_SCALES, float))
    for flag, kind in numbers:
        if flag.value is not None:
            changes[flag.name] = parse_numbers(flag.name, flag.value, kind)
    if _NETWORK_ARGUMENTS.value is not None:
        changes["network_arguments"] = _network_arguments(_NETWORK_ARGUMENTS.value)
    name = _RECIPE.value
    if _FEATURES.value is not None and not flags.FLAGS["recipe"].present:
        name = FEATURE_RECIPE
    recipe = RECIPES[name]
    task = _TASK.value or recipe.task
    if recipe.task != CLIP:  # before the network, for only some can learn its own task
        recipe = for_task(recipe, task)
    recipe = for_task(for_model(recipe, _MODEL.value or recipe.model), task)
    derived = tuple(name for name in recipe.derived if name not in changes)
    return dataclasses.replace(recipe, **changes, derived=derived)


def _second():
    """Returns the second dataset that the flags describe, or None."""
    from i3d_tf.training.settings import SecondDataset

    fields = {flag.name.removeprefix("second_"): flag.value for flag in _SECOND}
    given = [flag.name for flag in _SECOND if flag.value is not None]
    if fields["data_dir"] is None:
        if given:
            raise ValueError(f"--{given[0]} needs --second_data_dir, the folder of that dataset.")
        return None
    fields["flow_dir"] = fields["flow_dir"] or f"{fields['data_dir']}/flow"
    return SecondDataset(**fields)


def _network_arguments(texts):
    """Returns name=value texts as a dictionary: numbers, true, false, none, other texts."""
    arguments = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ValueError(
                f"--network_arguments must be name=value with commas between; received {text!r}."
            )
        try:
            arguments[name] = json.loads({"none": "null"}.get(value, value))
        except ValueError:
            arguments[name] = value
    return arguments


def _flow_dir():
    """Returns the folder of flow files; None where there are no videos."""
    if _FLOW.flow_dir.value is not None or _DATA_DIR.value is None:
        return _FLOW.flow_dir.value
    return f"{_DATA_DIR.value}/flow"


def _default_workdir():
    """Returns a folder in runs/ that is named like the folder of the videos, or of the records."""
    data_dir = _DATA_DIR.value
    if data_dir is None:
        data_dir = (_RECORDS.value or "").rpartition("/")[0] or "records"
    path = data_dir if "://" in data_dir else os.path.abspath(data_dir)
    return f"runs/{os.path.basename(path.rstrip('/')) or 'videos'}"


if __name__ == "__main__":
    app.run(main)

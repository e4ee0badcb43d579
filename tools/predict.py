"""Recognizes actions in videos.

python tools/predict.py video.mp4
python tools/predict.py --stream=joint --top=3 clips/ 'more/*.avi'
python tools/predict.py --json clips/ > predictions.jsonl
python tools/predict.py --window=64 --timeline_dir=timelines long.mp4
python tools/predict.py --checkpoint=runs/mine video.mp4
python tools/predict.py --checkpoint=runs/ava --boxes=persons.csv --json video.mp4
python tools/predict.py --explain=gradcam --explain_output=explained video.mp4
python tools/predict.py --saved_model=exports/rgb video.mp4
python tools/predict.py --output_dir=predictions --shard=0/4 videos/
python tools/predict.py --output_dir=predictions --status videos/
"""

import sys
from functools import partial

from absl import app, flags

from i3d_tf.specs.protocol import CROP_SETS
from i3d_tf.specs.streams import FLOW_ENGINES, FLOW_ROUNDINGS, STREAM_CHOICES
from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    FED_ROUNDING_HELP,
    FORMER_FLAGS,
    HEAD_HELP,
    LIST_HELP,
    SHARD_HELP,
    STATUS_HELP,
    check_file_names,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
    refuse_flags_beside,
    refuse_flags_without,
)
from i3d_tf.system.flags import define_video_flags

_STREAM = flags.DEFINE_enum(
    "stream", "rgb", STREAM_CHOICES, "Input of the network; joint adds the logits of both streams."
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, f"One network, whatever its stream: {CHECKPOINT_HELP}."
)
_RGB_CHECKPOINT = flags.DEFINE_string(
    "rgb_checkpoint", "rgb_imagenet", f"The RGB network: {CHECKPOINT_HELP}."
)
_FLOW_CHECKPOINT = flags.DEFINE_string(
    "flow_checkpoint", "flow_imagenet", f"The flow network: {CHECKPOINT_HELP}."
)
_JOINT_CHECKPOINT = flags.DEFINE_string(
    "joint_checkpoint", None, "One network for both streams, instead of these two."
)
_NETWORKS = (_RGB_CHECKPOINT, _FLOW_CHECKPOINT, _JOINT_CHECKPOINT)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_HEAD = flags.DEFINE_string("head", None, HEAD_HELP)
_SAVED_MODEL = flags.DEFINE_string(
    "saved_model",
    None,
    "An exported folder (see tools/export.py), instead of checkpoints. It is a program, which can "
    "do what you can: take it only from someone you trust.",
)
_TOP = flags.DEFINE_integer("top", 5, "Classes to show of each video.", lower_bound=1)
_JSON = flags.DEFINE_bool("json", False, "Print one JSON record a line instead of tables.")
_FLOW_ENGINE = flags.DEFINE_enum(
    "flow_engine", "auto", FLOW_ENGINES, "Engine that computes optical flow, for flow and joint."
)
_FLOW_ROUNDING = flags.DEFINE_enum("flow_rounding", None, FLOW_ROUNDINGS, FED_ROUNDING_HELP)
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ("float32", "bfloat16"), "Precision of the networks."
)
# Fields of the protocol; values that are not given stay as the networks have them.
_PROTOCOL = (
    flags.DEFINE_integer("segments", None, "Snippets of the video that make a clip."),
    flags.DEFINE_integer("crops", None, "Crops of a clip, whose logits are averaged."),
    flags.DEFINE_enum(
        "crop_set",
        None,
        CROP_SETS,
        "Places of the crops: spread along the longer side; or the corners and the center (5), and "
        "their mirror images (10).",
    ),
)
_VIDEO = define_video_flags(flags)
_WINDOW = flags.DEFINE_integer(
    "window", None, "Frames: predict for the whole video and for every window of it.", lower_bound=1
)
_TIMELINE_DIR = flags.DEFINE_string(
    "timeline_dir",
    None,
    "With --window: folder for pictures of class probabilities over time.",
)
_BOXES = flags.DEFINE_string(
    "boxes",
    None,
    "Say what each person does, at the moments and in the boxes of this file: rows "
    "video,timestamp,x1,y1,x2,y2,action,person of any detector or annotation in AVA's form. The "
    "network is one of train --task=persons.",
)
_MIN_SCORE = flags.DEFINE_float(
    "min_score", None, "With --boxes: lowest score of a box, in its last column. Default: all."
)
_TIME_OFFSET = flags.DEFINE_float(
    "time_offset", 0.0, "With --boxes: seconds of the file at which the videos start, such as 900."
)
_OUTPUT_VIDEO = flags.DEFINE_string(
    "output_video",
    None,
    "Write a copy with the top classes drawn: an .mp4 file, or a folder. Run again after a stop, "
    "it prints all predictions, keeps finished copies, and makes the others from their start.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "Write a .json file for each video there, in place of the output; videos that have one are "
    "left out.",
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "With --output_dir: replace files made with other settings."
)
_STATUS = flags.DEFINE_bool("status", False, f"With --output_dir: {STATUS_HELP.lower()}")
_EXPLAIN = flags.DEFINE_enum(
    "explain",
    None,
    ("gradcam", "tubes", "smoothgrad"),
    "Show what speaks for the class: a video with a map over its frames, a picture of some frames, "
    "and numbers (.mp4, .png, .json), in --explain_output.",
)
_EXPLAIN_OUTPUT = flags.DEFINE_string("explain_output", "explained", "Folder of the explanations.")
_EXPLAIN_ENDPOINT = flags.DEFINE_string(
    "explain_endpoint",
    None,
    "Layer whose outputs are explained, such as Mixed_4f; its last maps if not given.",
)
_EXPLAIN_CLASS = flags.DEFINE_string(
    "explain_class", None, "Class to explain, name or index; the predicted class if not given."
)
_EXPLAIN_SAMPLES = flags.DEFINE_integer(
    "explain_samples", 25, "Noisy clips of smoothgrad.", lower_bound=1
)
_EXPLAIN_CHECKS = flags.DEFINE_bool(
    "explain_checks",
    False,
    "Also compute how the logit falls when the most salient parts are masked, and how alike maps "
    "by random class weights are.",
)
_EXPLANATION = (
    _EXPLAIN_OUTPUT,
    _EXPLAIN_ENDPOINT,
    _EXPLAIN_CLASS,
    _EXPLAIN_SAMPLES,
    _EXPLAIN_CHECKS,
)
_LIST = flags.DEFINE_string("list", None, LIST_HELP)
_SHARD = flags.DEFINE_string("shard", None, SHARD_HELP)
flags.DEFINE_alias("rgb_weights", "rgb_checkpoint", module_name=FORMER_FLAGS)
flags.DEFINE_alias("flow_weights", "flow_checkpoint", module_name=FORMER_FLAGS)
flags.DEFINE_alias("joint_weights", "joint_checkpoint", module_name=FORMER_FLAGS)
flags.DEFINE_alias("engine", "flow_engine", module_name=FORMER_FLAGS)


def main(argv, runner=None):
    """Reads the flags and makes one call; tools/beam.py gives a runner of the job."""
    with one_line_errors():
        if _TIMELINE_DIR.value is not None and _WINDOW.value is None:
            raise ValueError("--timeline_dir needs --window, the frames of a window.")
        from i3d_tf.system.shards import parse_shard

        shard = parse_shard(_SHARD.value)
        if _OUTPUT_DIR.value is not None:
            refuse_flags_beside(_OUTPUT_DIR, (_OUTPUT_VIDEO, _TIMELINE_DIR))
        elif _STATUS.value or _OVERWRITE.value:
            raise ValueError("--status and --overwrite need --output_dir, the folder of a job.")
        elif runner is not None:
            raise ValueError("a job by Beam needs --output_dir, the folder of its predictions.")
        if _EXPLAIN.value is not None:
            refuse_flags_beside(_EXPLAIN, (_SAVED_MODEL, _WINDOW, _BOXES, _OUTPUT_DIR))
        else:
            refuse_flags_without(_EXPLAIN, _EXPLANATION)
        quiet_tensorflow()
        from i3d_tf.inference.command_output import classify_videos
        from i3d_tf.video.find import find_videos
        from i3d_tf.video.frame_folder import set_reading

        set_reading(**_VIDEO.values())
        if _OUTPUT_DIR.value is not None:
            sys.exit(_write_files(argv[1:], shard, runner))
        # Before networks are opened, or even downloaded.
        videos = find_videos(argv[1:], list_file=_LIST.value, shard=shard)
        if not videos:  # as few videos on many shards leave some without
            sys.exit(0)
        predictor = _predictor()
        predictions = classify_videos(
            videos,
            predictor,
            top=_TOP.value,
            as_json=_JSON.value,
            output_video=_OUTPUT_VIDEO.value,
            timeline_dir=_TIMELINE_DIR.value,
            writer=_explainer(predictor),
        )
        sys.exit(1 if any(prediction.error is not None for prediction in predictions) else 0)


def _write_files(videos, shard, runner):
    """Does a job with an output folder, or shows its state; returns the exit status."""
    from i3d_tf.inference.prediction_files import predict_files, prediction_status

    place = {"output_dir": _OUTPUT_DIR.value, "list_file": _LIST.value, "shard": shard}
    if _STATUS.value:
        status = prediction_status(videos, **place)
        print_lines(*status.lines(_JSON.value))
        return 0 if status.is_done else 1
    report = predict_files(
        videos,
        open_predictor=_predictor_call(),
        top=_TOP.value,
        overwrite=_OVERWRITE.value,
        runner=runner,
        **place,
    )
    print_lines(report.line())
    return 1 if report.failed else 0


def _explainer(predictor):
    """Returns the writer of explanations that the flags describe, or None."""
    if _EXPLAIN.value is None:
        return None
    from i3d_tf.explain.explain_videos import Explainer, ExplainOptions

    options = ExplainOptions(
        _EXPLAIN.value,
        _EXPLAIN_OUTPUT.value,
        _EXPLAIN_ENDPOINT.value,
        _EXPLAIN_CLASS.value,
        _EXPLAIN_SAMPLES.value,
        with_checks=_EXPLAIN_CHECKS.value,
    )
    return Explainer(predictor, options)


def _predictor():
    """Returns the predictor that the flags describe."""
    return _predictor_call()()


def _predictor_call():
    """Returns the call that opens the predictor; it can be pickled."""
    from i3d_tf.export.load import SavedPredictor
    from i3d_tf.inference.predictor import Predictor
    from i3d_tf.inference.sliding_window import WindowPredictor
    from i3d_tf.zoo.checkpoint import find_stream

    if _SAVED_MODEL.value is not None:
        others = (
            _BOXES,
            _HEAD,
            _FLOW_ENGINE,
            _FLOW_ROUNDING,
            _PRECISION,
            _WINDOW,
            *_PROTOCOL,
        )
        refuse_flags_beside(_SAVED_MODEL, (_STREAM, _CHECKPOINT, *_NETWORKS, *others))
        return partial(SavedPredictor, _SAVED_MODEL.value)
    if _BOXES.value is not None:
        return _person_predictor_call()
    refuse_flags_without(_BOXES, (_MIN_SCORE, _TIME_OFFSET))
    stream = _STREAM.value
    checkpoints = {"rgb": _RGB_CHECKPOINT.value, "flow": _FLOW_CHECKPOINT.value}
    if _CHECKPOINT.value is not None:
        refuse_flags_beside(_CHECKPOINT, (_STREAM, *_NETWORKS))
        stream = find_stream(_CHECKPOINT.value, _CHECKPOINT_DIR.value)
        checkpoints = {stream: _CHECKPOINT.value}
    elif _JOINT_CHECKPOINT.value is not None:
        refuse_flags_beside(_JOINT_CHECKPOINT, (_STREAM, _RGB_CHECKPOINT, _FLOW_CHECKPOINT))
        stream, checkpoints = "joint", {"joint": _JOINT_CHECKPOINT.value}
    arguments = {
        "checkpoint_dir": _CHECKPOINT_DIR.value,
        "flow_engine": _FLOW_ENGINE.value,
        "flow_rounding": _FLOW_ROUNDING.value,
        "precision": _PRECISION.value,
    }
    if _WINDOW.value is None:
        protocol = {flag.name: flag.value for flag in _PROTOCOL if flag.value is not None}
        return partial(
            Predictor, stream, checkpoints, **arguments, protocol=protocol, head=_HEAD.value
        )
    refuse_flags_beside(_WINDOW, (_HEAD, *_PROTOCOL))
    return partial(WindowPredictor, stream, checkpoints, **arguments, window=_WINDOW.value)


def _person_predictor_call():
    """Returns the call that opens the predictor of what persons in boxes do."""
    from i3d_tf.inference.person_dataset import PersonBoxes
    from i3d_tf.inference.person_predictor import PersonPredictor

    refuse_flags_beside(_BOXES, (_STREAM, *_NETWORKS, _WINDOW, _HEAD, *_PROTOCOL))
    if _CHECKPOINT.value is None:
        raise ValueError("--boxes needs --checkpoint, a network of train --task=persons.")
    boxes = PersonBoxes(_BOXES.value, _MIN_SCORE.value, _TIME_OFFSET.value)
    return partial(
        PersonPredictor,
        _CHECKPOINT.value,
        boxes,
        _CHECKPOINT_DIR.value,
        _PRECISION.value,
        _FLOW_ENGINE.value,
        _FLOW_ROUNDING.value,
    )


if __name__ == "__main__":
    app.run(main, flags_parser=lambda argv: app.parse_flags_with_usage(check_file_names(argv)))

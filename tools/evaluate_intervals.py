"""Evaluates trained networks on videos with actions in time: which there are, and when.

python tools/evaluate_intervals.py --checkpoint=runs/charades --data_dir=Charades_v1_480 \
    --intervals=Charades_v1_test.csv --output_dir=scores
python tools/evaluate_intervals.py --rgb_checkpoint=runs/rgb --flow_checkpoint=runs/flow \
    --task=classify --data_dir=videos --intervals=when.csv --split=test --output_dir=scores

The folder gets score.json, with the average precision of every class, report.html, the same as a
page with time lines of some videos, and submission.txt in Charades's form, which `tools/score.py`
scores too.
"""

from absl import app, flags

from i3d_tf.specs.streams import FLOW_ENGINES, FLOW_ROUNDINGS
from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    DAMAGED_HELP,
    DEINTERLACE_HELP,
    FOLDER_RATE_HELP,
    PIXEL_ASPECT_HELP,
    STORED_ROUNDING_HELP,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
    refuse_arguments,
    refuse_flags_beside,
)

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the videos.")
_INTERVALS = flags.DEFINE_string(
    "intervals",
    None,
    "What happens when: a table id,start,end,class with maybe columns split and duration, "
    "Charades's CSV, or super-events' JSON.",
)
_SPLIT = flags.DEFINE_string("split", "test", "Split of the annotation, if it has any.")
_TASK = flags.DEFINE_enum(
    "task",
    "localize",
    ("classify", "localize", "frames"),
    "classify: the classes of a video; localize: those at 25 points, both by Charades's rules; "
    "frames: those of every frame. The latter two need I3D.",
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, f"One network, whatever its stream: {CHECKPOINT_HELP}."
)
_RGB_CHECKPOINT = flags.DEFINE_string(
    "rgb_checkpoint", None, f"The RGB network: {CHECKPOINT_HELP}."
)
_FLOW_CHECKPOINT = flags.DEFINE_string(
    "flow_checkpoint", None, "The flow network; logits of two networks are added."
)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the score and the submission.")
_FLOW_DIR = flags.DEFINE_string(
    "flow_dir", None, "Folder of flow files, read or written. Default: <data_dir>/flow."
)
_FLOW_ENGINE = flags.DEFINE_enum(
    "flow_engine", "auto", FLOW_ENGINES, "Engine that computes missing flow."
)
_FLOW_ROUNDING = flags.DEFINE_enum("flow_rounding", None, FLOW_ROUNDINGS, STORED_ROUNDING_HELP)
_FOLDER_RATE = flags.DEFINE_float("folder_rate", None, FOLDER_RATE_HELP)
_DAMAGED = flags.DEFINE_enum("damaged", None, ("refuse", "conceal"), DAMAGED_HELP)
_DEINTERLACE = flags.DEFINE_bool("deinterlace", None, DEINTERLACE_HELP)
_PIXEL_ASPECT = flags.DEFINE_bool("pixel_aspect", None, PIXEL_ASPECT_HELP)
_QUARANTINE = flags.DEFINE_string(
    "quarantine", None, "List of videos to leave out, from tools/check_videos.py."
)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        for flag in (_DATA_DIR, _INTERVALS, _OUTPUT_DIR):
            if flag.value is None:
                raise ValueError(f"--{flag.name} is needed.")
        quiet_tensorflow()
        from i3d_tf.evaluation.evaluate_intervals import IntervalOptions, evaluate_intervals
        from i3d_tf.video.frame_folder import set_folder_rate
        from i3d_tf.video.options import set_video_options

        set_folder_rate(_FOLDER_RATE.value)
        set_video_options(_DAMAGED.value, _DEINTERLACE.value, _PIXEL_ASPECT.value)
        options = IntervalOptions(
            data_dir=_DATA_DIR.value,
            intervals=_INTERVALS.value,
            output_dir=_OUTPUT_DIR.value,
            checkpoints=_checkpoints(),
            task=_TASK.value,
            split=_SPLIT.value,
            checkpoint_dir=_CHECKPOINT_DIR.value,
            flow_dir=_FLOW_DIR.value or f"{_DATA_DIR.value}/flow",
            flow_engine=_FLOW_ENGINE.value,
            flow_rounding=_FLOW_ROUNDING.value,
            quarantine=_QUARANTINE.value,
        )
        print_lines(*evaluate_intervals(options).lines())


def _checkpoints():
    """Returns the networks by stream."""
    from i3d_tf.zoo.checkpoint import references_by_stream

    if _CHECKPOINT.value is not None:
        refuse_flags_beside(_CHECKPOINT, (_RGB_CHECKPOINT, _FLOW_CHECKPOINT))
    by_stream = {"rgb": _RGB_CHECKPOINT.value, "flow": _FLOW_CHECKPOINT.value}
    return references_by_stream(_CHECKPOINT.value, by_stream, _CHECKPOINT_DIR.value)


if __name__ == "__main__":
    app.run(main)

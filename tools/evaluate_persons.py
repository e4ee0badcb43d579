"""Evaluates trained networks on what each person does, by AVA's frame mAP.

python tools/evaluate_persons.py --checkpoint=runs/ava --data_dir=videos --truth=ava_val_v2.2.csv \
    --label_map=ava_action_list.pbtxt --time_offset=900 --output_dir=scores
python tools/evaluate_persons.py --checkpoint=runs/ava --data_dir=videos --truth=val.csv \
    --boxes=detections.csv --min_score=0.8 --label_map=actions.pbtxt --output_dir=scores

The folder gets score.json, with the average precision of every action, report.html, the same as a
page, and submission.csv in AVA's form, which `tools/score.py` scores too.
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
_TRUTH = flags.DEFINE_string(
    "truth",
    None,
    "Who does what: rows video,timestamp,x1,y1,x2,y2,action,person as AVA and AVA-Kinetics have "
    "them.",
)
_BOXES = flags.DEFINE_string(
    "boxes",
    None,
    "A detector's persons: the same rows, the action empty or of no meaning, with a score in the "
    "place of the person. Default: the true boxes.",
)
_MIN_SCORE = flags.DEFINE_float("min_score", None, "Lowest score of a box. Default: all count.")
_LABEL_MAP = flags.DEFINE_string("label_map", None, "The actions that count: AVA's .pbtxt.")
_EXCLUSIONS = flags.DEFINE_string(
    "exclusions", None, "Frames to leave out: the rule before April 2020."
)
_TIME_OFFSET = flags.DEFINE_float(
    "time_offset", 0.0, "Seconds of these files at which the videos start, such as 900."
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
        for flag in (_DATA_DIR, _TRUTH, _LABEL_MAP, _OUTPUT_DIR):
            if flag.value is None:
                raise ValueError(f"--{flag.name} is needed.")
        quiet_tensorflow()
        from i3d_tf.evaluation.evaluate_persons import PersonOptions, evaluate_persons
        from i3d_tf.video.frame_folder import set_folder_rate
        from i3d_tf.video.options import set_video_options

        set_folder_rate(_FOLDER_RATE.value)
        set_video_options(_DAMAGED.value, _DEINTERLACE.value, _PIXEL_ASPECT.value)
        options = PersonOptions(
            data_dir=_DATA_DIR.value,
            truth=_TRUTH.value,
            label_map=_LABEL_MAP.value,
            output_dir=_OUTPUT_DIR.value,
            checkpoints=_checkpoints(),
            boxes=_BOXES.value,
            min_score=_MIN_SCORE.value,
            exclusions=_EXCLUSIONS.value,
            time_offset=_TIME_OFFSET.value,
            checkpoint_dir=_CHECKPOINT_DIR.value,
            flow_dir=_FLOW_DIR.value or f"{_DATA_DIR.value}/flow",
            flow_engine=_FLOW_ENGINE.value,
            flow_rounding=_FLOW_ROUNDING.value,
            quarantine=_QUARANTINE.value,
        )
        print_lines(*evaluate_persons(options).lines())


def _checkpoints():
    """Returns the networks by stream."""
    from i3d_tf.zoo.checkpoint import references_by_stream

    if _CHECKPOINT.value is not None:
        refuse_flags_beside(_CHECKPOINT, (_RGB_CHECKPOINT, _FLOW_CHECKPOINT))
    by_stream = {"rgb": _RGB_CHECKPOINT.value, "flow": _FLOW_CHECKPOINT.value}
    return references_by_stream(_CHECKPOINT.value, by_stream, _CHECKPOINT_DIR.value)


if __name__ == "__main__":
    app.run(main)

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
from i3d_tf.system.console import one_line_errors, print_lines, quiet_tensorflow, refuse_arguments
from i3d_tf.system.flags import (
    define_flow_flags,
    define_network_flags,
    define_quarantine,
    define_video_flags,
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
_NETWORKS = define_network_flags(flags)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the score and the submission.")
_FLOW = define_flow_flags(flags, FLOW_ENGINES, FLOW_ROUNDINGS)
_VIDEO = define_video_flags(flags)
_QUARANTINE = define_quarantine(flags)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        for flag in (_DATA_DIR, _TRUTH, _LABEL_MAP, _OUTPUT_DIR):
            if flag.value is None:
                raise ValueError(f"--{flag.name} is needed.")
        quiet_tensorflow()
        from i3d_tf.evaluation.evaluate_persons import PersonOptions, evaluate_persons
        from i3d_tf.video.frame_folder import set_reading

        set_reading(**_VIDEO.values())
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
            checkpoint_dir=_NETWORKS.checkpoint_dir.value,
            flow_dir=_FLOW.flow_dir.value or f"{_DATA_DIR.value}/flow",
            flow_engine=_FLOW.flow_engine.value,
            flow_rounding=_FLOW.flow_rounding.value,
            quarantine=_QUARANTINE.value,
        )
        print_lines(*evaluate_persons(options).lines())


def _checkpoints():
    """Returns the networks by stream."""
    from i3d_tf.zoo.checkpoint import references_by_stream

    networks = (_NETWORKS.checkpoint.value, _NETWORKS.by_stream())
    return references_by_stream(*networks, _NETWORKS.checkpoint_dir.value)


if __name__ == "__main__":
    app.run(main)

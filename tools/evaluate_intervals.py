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
from i3d_tf.system.console import one_line_errors, print_lines, quiet_tensorflow, refuse_arguments
from i3d_tf.system.flags import (
    define_flow_flags,
    define_network_flags,
    define_quarantine,
    define_video_flags,
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
_NETWORKS = define_network_flags(flags)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the score and the submission.")
_FLOW = define_flow_flags(flags, FLOW_ENGINES, FLOW_ROUNDINGS)
_VIDEO = define_video_flags(flags)
_QUARANTINE = define_quarantine(flags)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        for flag in (_DATA_DIR, _INTERVALS, _OUTPUT_DIR):
            if flag.value is None:
                raise ValueError(f"--{flag.name} is needed.")
        quiet_tensorflow()
        from i3d_tf.evaluation.evaluate_intervals import IntervalOptions, evaluate_intervals
        from i3d_tf.video.frame_folder import set_reading

        set_reading(**_VIDEO.values())
        options = IntervalOptions(
            data_dir=_DATA_DIR.value,
            intervals=_INTERVALS.value,
            output_dir=_OUTPUT_DIR.value,
            checkpoints=_checkpoints(),
            task=_TASK.value,
            split=_SPLIT.value,
            checkpoint_dir=_NETWORKS.checkpoint_dir.value,
            flow_dir=_FLOW.flow_dir.value or f"{_DATA_DIR.value}/flow",
            flow_engine=_FLOW.flow_engine.value,
            flow_rounding=_FLOW.flow_rounding.value,
            quarantine=_QUARANTINE.value,
        )
        print_lines(*evaluate_intervals(options).lines())


def _checkpoints():
    """Returns the networks by stream."""
    from i3d_tf.zoo.checkpoint import references_by_stream

    networks = (_NETWORKS.checkpoint.value, _NETWORKS.by_stream())
    return references_by_stream(*networks, _NETWORKS.checkpoint_dir.value)


if __name__ == "__main__":
    app.run(main)

"""Computes the optical flow of videos into flow files, one `.flow.zip` for each video.

python tools/compute_flow.py --data_dir=videos --flow_dir=flow
python tools/compute_flow.py --direction=both --data_dir=videos --flow_dir=flow
python tools/compute_flow.py --flow_dir=flow one.mp4 'more/*.avi' list.txt
python tools/compute_flow.py --shard=0/4 --data_dir=videos --flow_dir=flow
python tools/compute_flow.py --status --data_dir=videos --flow_dir=flow

A stopped job goes on when it is run again: complete flow files are kept.
"""

import sys

from absl import app, flags

from i3d_tf.specs.streams import (
    FLOW_DIRECTIONS,
    FLOW_ENGINES,
    FLOW_ROUNDINGS,
    FORWARD,
    FRAME_RATE,
    SHORT_SIDE,
)
from i3d_tf.system.console import (
    FORMER_FLAGS,
    LIST_HELP,
    check_file_names,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
)
from i3d_tf.system.flags import define_job_flags, define_video_flags

_FLOW_DIR = flags.DEFINE_string("flow_dir", None, "Folder of the flow files.", required=True)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of the videos; its structure is kept in --flow_dir."
)
_FLOW_ENGINE = flags.DEFINE_enum(
    "flow_engine",
    "auto",
    FLOW_ENGINES,
    "Engine. All compute TV-L1 except dis, on which the released weights were not trained.",
)
flags.DEFINE_alias("engine", "flow_engine", module_name=FORMER_FLAGS)
_PRESET = flags.DEFINE_enum(
    "preset", "default", ("default", "fast"), "Parameters: OpenCV's, or faster and less exact."
)
_FRAME_RATE = flags.DEFINE_float("frame_rate", FRAME_RATE, "Frames per second after resampling.")
_VIDEO = define_video_flags(flags)
_SHORT_SIDE = flags.DEFINE_integer("short_side", SHORT_SIDE, "Pixels after resizing.")
_ROUNDING = flags.DEFINE_enum(
    "rounding",
    "nearest",
    FLOW_ROUNDINGS,
    "Of the 8-bit codes; deepmind is what the released flow networks were trained on.",
)
_DIRECTION = flags.DEFINE_enum(
    "direction",
    FORWARD,
    FLOW_DIRECTIONS,
    "forward: the flow of each frame to the next; both: also to the one before, for networks of "
    "bi-directional flow, in twice the time and space.",
)
_PROCESSES = flags.DEFINE_integer(
    "processes",
    None,
    "Videos at a time; by default what suits the engine (numba: 1, on all cores).",
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace flow files made with other settings.")
_LIST = flags.DEFINE_string("list", None, LIST_HELP)
_JOB = define_job_flags(flags)


def main(argv, runner=None):
    """Reads the flags and makes one call; tools/beam.py gives a runner of the job."""
    with one_line_errors():
        if _FLOW_ENGINE.value == "graph":
            quiet_tensorflow()
        from i3d_tf.flow.compute_files import compute_flow_files, flow_status
        from i3d_tf.system.shards import parse_shard
        from i3d_tf.video.frame_folder import set_reading

        shard = parse_shard(_JOB.shard.value)
        _JOB.check()
        if _JOB.status.value:
            status = flow_status(argv[1:], _FLOW_DIR.value, _DATA_DIR.value, _LIST.value, shard)
            print_lines(*status.lines(_JOB.json.value))
            sys.exit(0 if status.is_done else 1)
        set_reading(**_VIDEO.values())
        report = compute_flow_files(
            argv[1:],
            _FLOW_DIR.value,
            data_dir=_DATA_DIR.value,
            engine=_FLOW_ENGINE.value,
            preset=_PRESET.value,
            frame_rate=_FRAME_RATE.value,
            short_side=_SHORT_SIDE.value,
            processes=_PROCESSES.value,
            overwrite=_OVERWRITE.value,
            rounding=_ROUNDING.value,
            list_file=_LIST.value,
            shard=shard,
            direction=_DIRECTION.value,
            runner=runner,
        )
        print_lines(report.line())
        sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    app.run(main, flags_parser=lambda argv: app.parse_flags_with_usage(check_file_names(argv)))

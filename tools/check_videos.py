"""Decodes every video of a dataset and lists those that cannot be decoded.

python tools/check_videos.py --data_dir=videos
python tools/check_videos.py --data_dir=UCF-101 --dataset=ucf101 --split=train1,test1
python tools/check_videos.py --data_dir=videos --shard=0/4
python tools/check_videos.py --data_dir=videos --status

A stopped check goes on when it is run again; later runs decode only new and changed videos. The
exit status is 1 if a video is unreadable or missing.
"""

import sys

from absl import app, flags

from i3d_tf.specs.datasets import DATASETS
from i3d_tf.system.console import one_line_errors, print_lines, refuse_arguments
from i3d_tf.system.flags import define_annotation, define_job_flags

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the videos.", required=True)
_DATASET = flags.DEFINE_enum(
    "dataset", None, tuple(DATASETS), "Dataset to check. Default: all videos below --data_dir."
)
_SPLIT = flags.DEFINE_list("split", [], "Splits of the dataset. Default: all.")
_ANNOTATION = define_annotation(flags)
_CLASSES = flags.DEFINE_string("classes", None, "Text file with the class names, one a line.")
_QUARANTINE = flags.DEFINE_string(
    "quarantine", None, "The list to write. Default: quarantine.jsonl in --data_dir."
)
_PROCESSES = flags.DEFINE_integer(
    "processes", None, "Worker processes. Default: one per processor."
)
_LIST = flags.DEFINE_string(
    "list", None, "Text file with a video a line: a path relative to --data_dir, or an address."
)
_JOB = define_job_flags(flags)


def main(argv, runner=None):
    """Reads the flags and makes one call; tools/beam.py gives a runner of the job."""
    with one_line_errors():
        refuse_arguments(argv)
        from i3d_tf.data.check_videos import check_status, check_videos
        from i3d_tf.system.shards import parse_shard

        arguments = {
            "dataset": _DATASET.value,
            "splits": _SPLIT.value,
            "annotation": _ANNOTATION.value,
            "classes": _CLASSES.value,
            "quarantine": _QUARANTINE.value,
            "list_file": _LIST.value,
            "shard": parse_shard(_JOB.shard.value),
        }
        _JOB.check()
        if _JOB.status.value:
            status = check_status(_DATA_DIR.value, **arguments)
            print_lines(*status.lines(_JOB.json.value))
            sys.exit(0 if status.is_done else 1)
        report = check_videos(
            _DATA_DIR.value, **arguments, processes=_PROCESSES.value, runner=runner
        )
        print_lines(*report.lines())
        sys.exit(1 if report.faults else 0)


if __name__ == "__main__":
    app.run(main)

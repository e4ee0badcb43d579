"""Writes the videos of a dataset as TFRecord shards, which train.py and tf.data read.

python tools/make_records.py --data_dir=my_videos --output_dir=records
python tools/make_records.py --dataset=ucf101 --data_dir=UCF --split=train1 --output_dir=records
python tools/make_records.py --format=png --flow_dir=flow --data_dir=my_videos --output_dir=records
python tools/make_records.py --boxes=persons.csv --label_map=actions.pbtxt --data_dir=my_videos \
    --output_dir=records

Records are MediaSequence's SequenceExamples: frames as JPEG or PNG, class, actions, persons, flow.
A stopped job goes on when the same command is given again.
"""

import sys

from absl import app, flags

from i3d_tf.specs.datasets import DATASETS
from i3d_tf.specs.streams import FLOW_ENGINES, FLOW_ROUNDINGS, FRAME_RATE, SHORT_SIDE
from i3d_tf.system.console import one_line_errors, print_lines, refuse_arguments
from i3d_tf.system.flags import (
    define_annotation,
    define_flow_flags,
    define_quarantine,
    define_video_flags,
)

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the dataset.", required=True)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the shards.", required=True)
_NAME = flags.DEFINE_string("name", None, "Start of their names. Default: the split, or records.")
_DATASET = flags.DEFINE_string(
    "dataset", "class_folders", f"Reader of the dataset: {', '.join(DATASETS)}."
)
_SPLIT = flags.DEFINE_string("split", None, "Split of the dataset. Default: all class folders.")
_ANNOTATION = define_annotation(flags)
_CLASSES = flags.DEFINE_string("classes", None, "File of class names, one a line. Default: all.")
_BOXES = flags.DEFINE_string(
    "boxes",
    None,
    "Who does what, of persons in --data_dir's videos: rows video,timestamp,x1,y1,x2,y2,action,"
    "person as AVA and AVA-Kinetics have them. Instead of --dataset.",
)
_LABEL_MAP = flags.DEFINE_string("label_map", None, "The actions of --boxes: AVA's .pbtxt.")
_TIME_OFFSET = flags.DEFINE_float(
    "time_offset", 0.0, "Seconds of --boxes at which the videos start, such as 900."
)
_QUARANTINE = define_quarantine(flags)
_SHARDS = flags.DEFINE_integer("shards", 16, "Number of shards.", lower_bound=1)
_FORMAT = flags.DEFINE_enum("format", "jpeg", ("jpeg", "png"), "Of pictures; png loses nothing.")
_QUALITY = flags.DEFINE_integer("quality", 95, "Of JPEG.", lower_bound=1, upper_bound=100)
_FRAME_RATE = flags.DEFINE_float("frame_rate", FRAME_RATE, "Frames per second after resampling.")
_SHORT_SIDE = flags.DEFINE_integer("short_side", SHORT_SIDE, "Pixels after resizing.")
_FLOW = define_flow_flags(
    flags,
    FLOW_ENGINES,
    FLOW_ROUNDINGS,
    folder_help="Folder of flow files, read or written: write the flow, too.",
)
_VIDEO = define_video_flags(flags)
_PROCESSES = flags.DEFINE_integer(
    "processes", None, "Shards at a time. Default: one per processor.", lower_bound=1
)
_SHARD = flags.DEFINE_string(
    "shard",
    None,
    "Part of the shards to write, i/n with i from 0, where several machines share the work. env "
    "takes it from SLURM, Kubernetes or AWS Batch.",
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace shards made with other settings.")


def _read_persons():
    """Reads --boxes; returns the videos with their persons, and the numbers of their actions."""
    from i3d_tf.inference.person_dataset import read_person_videos

    for flag in (_DATASET, _SPLIT, _ANNOTATION, _CLASSES):
        if flag.present:
            raise ValueError(
                f"--{flag.name} is not for persons in boxes, whose videos and actions --boxes and "
                "--label_map name. Leave it out."
            )
    if _LABEL_MAP.value is None:
        raise ValueError("--label_map must be the file of the actions of --boxes.")
    return read_person_videos(
        _DATA_DIR.value,
        _BOXES.value,
        _LABEL_MAP.value,
        _FRAME_RATE.value,
        _QUARANTINE.value,
        _TIME_OFFSET.value,
    )


def _read_dataset():
    """Reads the dataset that the flags name."""
    from i3d_tf.data.readers import read_dataset

    for flag in (_LABEL_MAP, _TIME_OFFSET):
        if flag.present:
            raise ValueError(f"--{flag.name} is for --boxes, a file of persons. Give both.")
    return read_dataset(
        _DATASET.value,
        _DATA_DIR.value,
        _SPLIT.value,
        annotation=_ANNOTATION.value,
        classes=_CLASSES.value,
        quarantine=_QUARANTINE.value,
    )


def main(argv, runner=None):
    """Reads the flags and makes one call; tools/beam.py gives a runner of the job."""
    with one_line_errors():
        refuse_arguments(argv)
        from i3d_tf.records.make_records import FlowOptions, make_records
        from i3d_tf.records.record_format import RecordFormat
        from i3d_tf.system.shards import parse_shard
        from i3d_tf.video.frame_folder import set_reading

        set_reading(**_VIDEO.values())
        form = RecordFormat(_FORMAT.value, _QUALITY.value, _FRAME_RATE.value, _SHORT_SIDE.value)
        shard = parse_shard(_SHARD.value)
        if _BOXES.value is None:
            dataset, action_ids = _read_dataset(), None
        else:
            dataset, action_ids = _read_persons()
        print_lines(*dataset.report.lines())
        flow = None
        if _FLOW.flow_dir.value is not None:
            flow = FlowOptions(
                _FLOW.flow_dir.value,
                _DATA_DIR.value,
                _FLOW.flow_engine.value,
                _FLOW.flow_rounding.value,
            )
        report = make_records(
            dataset,
            _OUTPUT_DIR.value,
            _NAME.value or _SPLIT.value or "records",
            _SHARDS.value,
            form,
            flow,
            _PROCESSES.value,
            _OVERWRITE.value,
            shard,
            action_ids,
            runner,
        )
        print_lines(*report.lines())
        sys.exit(1 if report.failed or report.left_out else 0)


if __name__ == "__main__":
    app.run(main)

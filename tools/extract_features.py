"""Extracts features of videos: one .npy, .npz or .h5 file for each, with times, for localization.

python tools/extract_features.py --output_dir=features videos/
python tools/extract_features.py --stream=joint --window=16 --stride=16 --output_dir=f videos/
python tools/extract_features.py --endpoint=Mixed_4f --pool=none --format=h5 --output_dir=f a.mp4
python tools/extract_features.py --shard=0/4 --output_dir=features videos/
python tools/extract_features.py --status --output_dir=features videos/

Without --window the network runs over each whole video, with a row for every 8 frames. With it,
each window is a separate clip with one row. A stopped job goes on when it is run again.
"""

import sys

from absl import app, flags

from i3d_tf.specs.streams import FLOW_ENGINES, FLOW_ROUNDINGS, STREAM_CHOICES
from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    DAMAGED_HELP,
    DEINTERLACE_HELP,
    FED_ROUNDING_HELP,
    FOLDER_RATE_HELP,
    FORMER_FLAGS,
    LIST_HELP,
    PIXEL_ASPECT_HELP,
    SHARD_HELP,
    STATUS_HELP,
    STATUS_JSON_HELP,
    check_file_names,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
)

_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the files.", required=True)
_STREAM = flags.DEFINE_enum(
    "stream", "rgb", STREAM_CHOICES, "joint: RGB's features, then flow's, in one row."
)
_ENDPOINT = flags.DEFINE_string("endpoint", "Mixed_5c", "Which layer's output, by its name.")
_POOL = flags.DEFINE_enum(
    "pool",
    None,
    ("space", "space_time", "none"),
    "Axes to average. Default: space; with --window, space and time.",
)
_WINDOW = flags.DEFINE_integer("window", None, "Frames of a clip for each row, at least 9.")
_STRIDE = flags.DEFINE_integer(
    "stride",
    None,
    "Frames from row to row. Without --window a multiple of the endpoint's own (8; rows are then "
    "means). Default: the endpoint's own; with --window, without overlap.",
)
_FORMAT = flags.DEFINE_enum("format", "npy", ("npy", "npz", "h5"), "Format of the files.")
_RGB_CHECKPOINT = flags.DEFINE_string(
    "rgb_checkpoint", "rgb_imagenet", f"The RGB network: {CHECKPOINT_HELP}."
)
_FLOW_CHECKPOINT = flags.DEFINE_string(
    "flow_checkpoint", "flow_imagenet", f"The flow network: {CHECKPOINT_HELP}."
)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_FLOW_ENGINE = flags.DEFINE_enum(
    "flow_engine", "auto", FLOW_ENGINES, "Engine that computes optical flow."
)
_FLOW_ROUNDING = flags.DEFINE_enum("flow_rounding", None, FLOW_ROUNDINGS, FED_ROUNDING_HELP)
_FOLDER_RATE = flags.DEFINE_float("folder_rate", None, FOLDER_RATE_HELP)
_DAMAGED = flags.DEFINE_enum("damaged", None, ("refuse", "conceal"), DAMAGED_HELP)
_DEINTERLACE = flags.DEFINE_bool("deinterlace", None, DEINTERLACE_HELP)
_PIXEL_ASPECT = flags.DEFINE_bool("pixel_aspect", None, PIXEL_ASPECT_HELP)
_FLOW_DIR = flags.DEFINE_string("flow_dir", None, "Folder of flow files from compute_flow.py.")
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ("float32", "bfloat16"), "Precision of the networks."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Windows at once.")
_PROCESSES = flags.DEFINE_integer("processes", 1, "Videos at a time, each in its own process.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace files made with other settings.")
_LIST = flags.DEFINE_string("list", None, LIST_HELP)
_SHARD = flags.DEFINE_string("shard", None, SHARD_HELP)
_STATUS = flags.DEFINE_bool("status", False, STATUS_HELP)
_JSON = flags.DEFINE_bool("json", False, STATUS_JSON_HELP)
flags.DEFINE_alias("rgb_weights", "rgb_checkpoint", module_name=FORMER_FLAGS)
flags.DEFINE_alias("flow_weights", "flow_checkpoint", module_name=FORMER_FLAGS)
flags.DEFINE_alias("engine", "flow_engine", module_name=FORMER_FLAGS)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        from i3d_tf.features.extract_features import extract_feature_files, feature_status
        from i3d_tf.features.options import FeatureOptions, feature_config
        from i3d_tf.system.shards import parse_shard
        from i3d_tf.video.frame_folder import set_folder_rate
        from i3d_tf.video.options import set_video_options

        shard = parse_shard(_SHARD.value)
        if _JSON.value and not _STATUS.value:
            raise ValueError("--json needs --status, which it prints as a record.")
        if _STATUS.value:
            status = feature_status(argv[1:], _OUTPUT_DIR.value, _FORMAT.value, _LIST.value, shard)
            print_lines(*status.lines(_JSON.value))
            sys.exit(0 if status.is_done else 1)
        set_folder_rate(_FOLDER_RATE.value)
        set_video_options(_DAMAGED.value, _DEINTERLACE.value, _PIXEL_ASPECT.value)
        options = FeatureOptions(
            feature_config(_ENDPOINT.value, _POOL.value, _WINDOW.value, _STRIDE.value),
            stream=_STREAM.value,
            rgb_checkpoint=_RGB_CHECKPOINT.value,
            flow_checkpoint=_FLOW_CHECKPOINT.value,
            checkpoint_dir=_CHECKPOINT_DIR.value,
            flow_engine=_FLOW_ENGINE.value,
            flow_rounding=_FLOW_ROUNDING.value,
            precision=_PRECISION.value,
            batch_size=_BATCH_SIZE.value,
        )
        quiet_tensorflow()
        report = extract_feature_files(
            argv[1:],
            _OUTPUT_DIR.value,
            options,
            file_format=_FORMAT.value,
            flow_dir=_FLOW_DIR.value,
            processes=_PROCESSES.value,
            overwrite=_OVERWRITE.value,
            list_file=_LIST.value,
            shard=shard,
        )
        print_lines(report.line())
        sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    app.run(main, flags_parser=lambda argv: app.parse_flags_with_usage(check_file_names(argv)))

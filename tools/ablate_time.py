"""Measures how much of the accuracy of networks is due to motion and to the order of frames.

python tools/ablate_time.py --data_dir=stick --dataset=stick_actions --report_dir=ablation \
    --rgb_checkpoint=stick_actions_rgb --flow_checkpoint=stick_actions_flow
python tools/ablate_time.py --checkpoint=runs/mine --data_dir=mine --report_dir=ablation
python tools/ablate_time.py --rgb_checkpoint=rgb_scratch --report_dir=ablation clips/

The networks are shown every test video as it is, backwards, shuffled, with fewer frames, and one
frame of it repeated. The folder gets ablation.json, a page index.html and its chart. Of videos
that are named instead of a dataset, it gets the predictions alone.
"""

from absl import app, flags

from i3d_tf.specs.protocol import CROP_SETS
from i3d_tf.specs.streams import FLOW_ENGINES, FLOW_ROUNDINGS
from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    FED_ROUNDING_HELP,
    check_file_names,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
    refuse_flags_beside,
)
from i3d_tf.system.flags import (
    define_annotation,
    define_protocol_flags,
    define_quarantine,
    define_video_flags,
)

_DATASET = flags.DEFINE_string("dataset", "class_folders", "Name of the dataset's reader, or csv.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the dataset.")
_SPLIT = flags.DEFINE_string(
    "split", "test", "Split of the dataset; of class folders without splits, the run's own."
)
_ANNOTATION = define_annotation(flags)
_QUARANTINE = define_quarantine(flags)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, f"One network, whatever its stream: {CHECKPOINT_HELP}."
)
_RGB_CHECKPOINT = flags.DEFINE_string(
    "rgb_checkpoint", None, f"The RGB network: {CHECKPOINT_HELP}."
)
_FLOW_CHECKPOINT = flags.DEFINE_string(
    "flow_checkpoint", None, "The flow network; with an RGB one, the sum of their logits counts."
)
_JOINT_CHECKPOINT = flags.DEFINE_string(
    "joint_checkpoint", None, "One network for both streams, instead of these two."
)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_REPORT_DIR = flags.DEFINE_string("report_dir", None, "Folder of the report.")
_CONDITIONS = flags.DEFINE_list(
    "conditions",
    None,
    "Of frozen:middle, frozen:best, frozen:oracle, reversed, shuffled, shuffled:N (within N "
    "frames), subsampled:N (one of N frames). Default: all, with shuffled:8 and subsampled:4.",
)
_FROZEN_FRAMES = flags.DEFINE_integer(
    "frozen_frames", 9, "Frames of a clip that frozen:best and frozen:oracle choose from."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of shuffling and of the bootstrap.")
_BOOTSTRAP = flags.DEFINE_integer("bootstrap", 2000, "Resampled test sets for the intervals.")
_FLOW_ENGINE = flags.DEFINE_enum("flow_engine", "auto", FLOW_ENGINES, "Engine that computes flow.")
_FLOW_ROUNDING = flags.DEFINE_enum("flow_rounding", "nearest", FLOW_ROUNDINGS, FED_ROUNDING_HELP)
_VIDEO = define_video_flags(flags)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace logits that were computed with other settings."
)
_PROTOCOL = define_protocol_flags(flags, CROP_SETS)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        check_file_names(argv)
        if _REPORT_DIR.value is None:
            raise ValueError("--report_dir is needed.")
        quiet_tensorflow()
        from i3d_tf.explain.ablate_time import AblationOptions, ablate_time
        from i3d_tf.explain.frame_orders import DEFAULT_CONDITIONS
        from i3d_tf.video.frame_folder import set_reading

        set_reading(**_VIDEO.values())
        options = AblationOptions(
            report_dir=_REPORT_DIR.value,
            data_dir=_DATA_DIR.value,
            dataset=_DATASET.value,
            split=_SPLIT.value,
            annotation=_ANNOTATION.value,
            quarantine=_QUARANTINE.value,
            videos=argv[1:],
            **_checkpoints(),
            checkpoint_dir=_CHECKPOINT_DIR.value,
            conditions=DEFAULT_CONDITIONS if _CONDITIONS.value is None else _CONDITIONS.value,
            frozen_frames=_FROZEN_FRAMES.value,
            seed=_SEED.value,
            bootstrap=_BOOTSTRAP.value,
            flow_engine=_FLOW_ENGINE.value,
            flow_rounding=_FLOW_ROUNDING.value,
            protocol={flag.name: flag.value for flag in _PROTOCOL if flag.value is not None},
            overwrite=_OVERWRITE.value,
        )
        print_lines(*ablate_time(options).lines(), _REPORT_DIR.value)


def _checkpoints():
    """Returns the networks, by the names of `AblationOptions`."""
    flags_of_streams = (_RGB_CHECKPOINT, _FLOW_CHECKPOINT, _JOINT_CHECKPOINT)
    if _CHECKPOINT.value is None:
        return {flag.name: flag.value for flag in flags_of_streams}
    from i3d_tf.zoo.checkpoint import find_stream

    refuse_flags_beside(_CHECKPOINT, flags_of_streams)
    stream = find_stream(_CHECKPOINT.value, _CHECKPOINT_DIR.value)
    return {f"{stream}_checkpoint": _CHECKPOINT.value}


if __name__ == "__main__":
    app.run(main)

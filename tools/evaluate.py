"""Evaluates trained networks on a test set, and writes a report page.

python tools/evaluate.py --dataset=stick_actions --data_dir=stick --split=test \
    --rgb_checkpoint=runs/rgb --flow_checkpoint=runs/flow --report_dir=report

python tools/evaluate.py --checkpoint=runs/mine --data_dir=mine --report_dir=report

python tools/evaluate.py --checkpoint=runs/mine --records='records/test-*' --report_dir=report

python tools/evaluate.py --checkpoint=runs/lstm --features=f --data_dir=mine --report_dir=report

`tools/compare_reports.py` compares two reports, and fuses them.
"""

from absl import app, flags

from i3d_tf.specs.protocol import CROP_SETS
from i3d_tf.specs.streams import FEATURES, FLOW_ENGINES, FLOW_ROUNDINGS, SCORE_FUSIONS
from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    CHECKPOINT_HELP,
    FORMER_FLAGS,
    HEAD_HELP,
    one_line_errors,
    parse_numbers,
    print_lines,
    quiet_tensorflow,
    refuse_arguments,
    refuse_flags_beside,
)
from i3d_tf.system.flags import (
    define_annotation,
    define_flow_flags,
    define_input_processes,
    define_protocol_flags,
    define_quarantine,
    define_video_flags,
)

_DATASET = flags.DEFINE_string("dataset", "class_folders", "Name of the dataset's reader, or csv.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the dataset.")
_RECORDS = flags.DEFINE_string(
    "records",
    None,
    "Shards of records to evaluate on instead of videos, from make_records.py or another program: "
    "a folder, or a pattern such as 'records/test-*'.",
)
_SPLIT = flags.DEFINE_string(
    "split",
    "test",
    "Split of the dataset; of class folders without splits, and of records, the run's own.",
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, f"One network, whatever its stream: {CHECKPOINT_HELP}."
)
_RGB_CHECKPOINT = flags.DEFINE_string(
    "rgb_checkpoint", None, f"The RGB network: {CHECKPOINT_HELP}."
)
_FLOW_CHECKPOINT = flags.DEFINE_string(
    "flow_checkpoint",
    None,
    "The flow network; together with an RGB one, their sum is evaluated, too.",
)
_JOINT_CHECKPOINT = flags.DEFINE_string(
    "joint_checkpoint", None, "One network for both streams, instead of these two."
)
_HEAD = flags.DEFINE_string("head", None, HEAD_HELP)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_FLOW = define_flow_flags(flags, FLOW_ENGINES, FLOW_ROUNDINGS)
_VIDEO = define_video_flags(flags)
_FUSION = flags.DEFINE_enum(
    "fusion", "logits", SCORE_FUSIONS, "Outputs of the two streams that are added."
)
_FUSION_WEIGHTS = flags.DEFINE_list(
    "fusion_weights", None, "Weights of the two streams, such as 1,1.5. Default: 1,1."
)
_FEATURES = flags.DEFINE_string(
    "features", None, "Folder of the videos' features, for a --checkpoint that reads these."
)
_REPORT_DIR = flags.DEFINE_string("report_dir", None, "Folder of the report.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "Clips at once.", lower_bound=1)
_ANNOTATION = define_annotation(flags)
_QUARANTINE = define_quarantine(flags)
_WORKERS = flags.DEFINE_integer("workers", None, "Clips made at once.", lower_bound=1)
_INPUT_PROCESSES = define_input_processes(flags)
_FREEZE_TIME = flags.DEFINE_bool(
    "freeze_time", False, "Show one frame of every clip, repeated: accuracy without motion."
)
_PROTOCOL = define_protocol_flags(flags, CROP_SETS)
# Flags of videos, which records have behind them.
_OF_VIDEOS = (
    *(_DATA_DIR, _DATASET, _FEATURES, _ANNOTATION, _QUARANTINE),
    *(_FLOW.flow_dir, _FLOW.flow_engine, *_VIDEO),
)
_COMPARE = flags.DEFINE_list(
    "compare", None, "Two report.json, for tools/compare_reports.py.", module_name=FORMER_FLAGS
)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        if _COMPARE.value:
            from i3d_tf.evaluation.compare_reports import compare_reports

            print_lines(*compare_reports(*_COMPARE.value).lines())
            return
        if _DATA_DIR.value is None and _RECORDS.value is None:
            raise ValueError("--data_dir or --records is needed.")
        if _REPORT_DIR.value is None:
            raise ValueError("--report_dir is needed.")
        if _RECORDS.value is not None:
            refuse_flags_beside(_RECORDS, _OF_VIDEOS)
        quiet_tensorflow()
        from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
        from i3d_tf.evaluation.text import summary
        from i3d_tf.video.frame_folder import set_reading

        set_reading(**_VIDEO.values())
        options = EvaluateOptions(
            dataset=_DATASET.value,
            data_dir=_DATA_DIR.value,
            split=_SPLIT.value,
            report_dir=_REPORT_DIR.value,
            **_checkpoints(),
            checkpoint_dir=_CHECKPOINT_DIR.value,
            flow_dir=_flow_dir(),
            flow_engine=_FLOW.flow_engine.value,
            flow_rounding=_FLOW.flow_rounding.value,
            fusion=_FUSION.value,
            protocol={flag.name: flag.value for flag in _PROTOCOL if flag.value is not None},
            batch_size=_BATCH_SIZE.value,
            annotation=_ANNOTATION.value,
            quarantine=_QUARANTINE.value,
            workers=_WORKERS.value,
            input_processes=_INPUT_PROCESSES.value,
            freeze_time=_FREEZE_TIME.value,
            fusion_weights=parse_numbers(_FUSION_WEIGHTS.name, _FUSION_WEIGHTS.value),
            features=_FEATURES.value,
            head=_HEAD.value,
            records=_RECORDS.value,
        )
        print_lines(*summary(evaluate(options), options.report_dir))


def _flow_dir():
    """Returns the folder of flow files; None where there are no videos."""
    if _FLOW.flow_dir.value is not None or _DATA_DIR.value is None:
        return _FLOW.flow_dir.value
    return f"{_DATA_DIR.value}/flow"


def _checkpoints():
    """Returns the networks, by the names of `EvaluateOptions`."""
    flags_of_streams = (_RGB_CHECKPOINT, _FLOW_CHECKPOINT, _JOINT_CHECKPOINT)
    if _CHECKPOINT.value is None:
        return {flag.name: flag.value for flag in flags_of_streams}
    from i3d_tf.zoo.checkpoint import find_stream

    refuse_flags_beside(_CHECKPOINT, flags_of_streams)
    if _FEATURES.value is not None:
        return {f"{FEATURES}_checkpoint": _CHECKPOINT.value}
    stream = find_stream(_CHECKPOINT.value, _CHECKPOINT_DIR.value)
    return {f"{stream}_checkpoint": _CHECKPOINT.value}


if __name__ == "__main__":
    app.run(main)

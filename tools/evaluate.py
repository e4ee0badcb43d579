"""Evaluates trained networks on a test set, and writes a report to look at.

python tools/evaluate.py --dataset=stick_actions --data_dir=stick --split=test \
    --rgb_checkpoint=runs/rgb --flow_checkpoint=runs/flow --report_dir=report
python tools/evaluate.py --compare=report/report.json,other/report.json
"""

import dataclasses

from absl import app, flags

from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import FUSIONS
from i3d_tf.system.console import one_line_errors, quiet_tensorflow

flags.DEFINE_string("dataset", "class_folders", "Which reader; a dataset's name, or csv.")
flags.DEFINE_string("data_dir", None, "Folder of the dataset.")
flags.DEFINE_string("split", "test", "Which split of it.")
flags.DEFINE_string("rgb_checkpoint", None, "Folder of a training run, or a release.")
flags.DEFINE_string("flow_checkpoint", None, "The same for flow; with both, they are fused.")
flags.DEFINE_string("joint_checkpoint", None, "A network that sees both streams, instead.")
flags.DEFINE_string("checkpoint_dir", "checkpoints", "Where releases are.")
flags.DEFINE_string("flow_dir", None, "Where flow files are, or go. Default: <data_dir>/flow.")
flags.DEFINE_string("flow_engine", "auto", "What computes flow that is not there yet.")
flags.DEFINE_enum("fusion", "logits", FUSIONS, "What is added.")
flags.DEFINE_string("report_dir", None, "Where the report goes.")
flags.DEFINE_integer("batch_size", 4, "Clips at once.", lower_bound=1)
flags.DEFINE_string("annotation", None, "Annotation file of the dataset, or their folder.")
flags.DEFINE_string("quarantine", None, "Videos to leave out, as check_videos.py writes them.")
flags.DEFINE_integer("workers", None, "Clips made at once.", lower_bound=1)
flags.DEFINE_bool("freeze_time", False, "Show one frame repeated: what is known without motion.")
_COMPARE = flags.DEFINE_list("compare", None, "Two report.json: which classes gained and lost.")

_PROTOCOL = [field.name for field in dataclasses.fields(Protocol)]
for _field in dataclasses.fields(Protocol):
    _define = flags.DEFINE_float if _field.type is float else flags.DEFINE_integer
    _define(_field.name, None, "Overrides the network's own protocol.")


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        if len(argv) > 1:
            raise ValueError(f"unexpected arguments {argv[1:]}; every option is a --flag.")
        quiet_tensorflow()
        if _COMPARE.value:
            from i3d_tf.evaluation.compare import compare_reports

            print("\n".join(compare_reports(*_COMPARE.value).lines()))
            return
        from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate, summary

        values = flags.FLAGS.flag_values_dict()
        for name in ("data_dir", "report_dir"):
            if values[name] is None:
                raise ValueError(f"--{name} is needed.")
        chosen = {
            field.name: values[field.name]
            for field in dataclasses.fields(EvaluateOptions)
            if field.name != "protocol"
        }
        chosen["flow_dir"] = chosen["flow_dir"] or f"{chosen['data_dir']}/flow"
        changes = {name: values[name] for name in _PROTOCOL if values[name] is not None}
        options = EvaluateOptions(**chosen, protocol=changes)
        print("\n".join(summary(evaluate(options), options.report_dir)))


if __name__ == "__main__":
    app.run(main)

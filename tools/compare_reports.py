"""Compares two evaluations of one test set, or fuses them: the classes that gain or lose.

python tools/compare_reports.py report/report.json other/report.json
python tools/compare_reports.py --fusion=log_probabilities --report_dir=both report other
python tools/compare_reports.py --fusion=svm --train_reports=a_train,b_train report other

Without --fusion, B is compared with A: accuracies, gains and losses, pairs of classes that are
confused. With it, A+B is compared with A, and --report_dir gets the report of A+B, the gain of each
class and three confusion matrices.
"""

from absl import app, flags

from i3d_tf.specs.streams import SCORE_FUSIONS
from i3d_tf.system.console import one_line_errors, parse_numbers, print_lines

_FUSION = flags.DEFINE_enum(
    "fusion", None, (*SCORE_FUSIONS, "svm"), "Outputs of A and B that are added, or a linear SVM."
)
_FUSION_WEIGHTS = flags.DEFINE_list("fusion_weights", None, "Weights of A and B, such as 1,1.5.")
_REPORT_DIR = flags.DEFINE_string("report_dir", None, "Folder of the fused report.")
_TRAIN_REPORTS = flags.DEFINE_list(
    "train_reports", None, "For svm: reports of A's and B's network on the training split."
)


def main(argv):
    """Reads the arguments and makes one call."""
    with one_line_errors():
        if len(argv) != 3:
            raise ValueError(f"two report.json files must be given; received {argv[1:]}.")
        if _FUSION.value is None:
            for flag in (_FUSION_WEIGHTS, _REPORT_DIR, _TRAIN_REPORTS):
                if flag.value is not None:
                    raise ValueError(f"--{flag.name} needs --fusion.")
            from i3d_tf.evaluation.compare_reports import compare_reports

            print_lines(*compare_reports(*argv[1:]).lines())
            return
        from i3d_tf.evaluation.fuse_reports import fuse_reports

        fusion = fuse_reports(
            *argv[1:],
            report_dir=_REPORT_DIR.value,
            fusion=_FUSION.value,
            weights=parse_numbers(_FUSION_WEIGHTS.name, _FUSION_WEIGHTS.value),
            train_reports=_TRAIN_REPORTS.value,
        )
        print_lines(*fusion.lines())
        if _REPORT_DIR.value is not None:
            print_lines("", f"report: {_REPORT_DIR.value}/index.html")


if __name__ == "__main__":
    app.run(main)

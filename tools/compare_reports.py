"""Compares two evaluations of one test set: accuracies, and the classes that gained or lost.

python tools/compare_reports.py report/report.json other/report.json
"""

from absl import app

from i3d_tf.system.console import one_line_errors, print_lines


def main(argv):
    """Reads the arguments and makes one call."""
    with one_line_errors():
        if len(argv) != 3:
            raise ValueError(f"two report.json files must be given; received {argv[1:]}.")
        from i3d_tf.evaluation.compare_reports import compare_reports

        print_lines(*compare_reports(*argv[1:]).lines())


if __name__ == "__main__":
    app.run(main)

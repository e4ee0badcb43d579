"""Scores a submission by the rules of its benchmark: Charades, AVA, ActivityNet, THUMOS14.

python tools/score.py --rule=charades_localize --truth=Charades_v1_test.csv --predictions=mine.txt
python tools/score.py --rule=ava --truth=ava_val_v2.2.csv --predictions=p.csv --label_map=map.pbtxt
python tools/score.py --rule=activitynet --subset=validation --truth=a.json --predictions=p.json \
    --output_dir=scores

With --output_dir, the folder gets score.json, with the average precision of every class, and
report.html, the same as a page.
"""

import json

from absl import app, flags

from i3d_tf.specs.datasets import SCORING_RULES
from i3d_tf.system.console import one_line_errors, print_lines, refuse_arguments

_RULE = flags.DEFINE_enum(
    "rule", None, SCORING_RULES, "Benchmark whose rules count.", required=True
)
_TRUTH = flags.DEFINE_string("truth", None, "The benchmark's annotation.", required=True)
_PREDICTIONS = flags.DEFINE_string("predictions", None, "The submission.", required=True)
_LABEL_MAP = flags.DEFINE_string("label_map", None, "AVA's label map: the actions that count.")
_EXCLUSIONS = flags.DEFINE_string(
    "exclusions", None, "AVA's frames to leave out: the rule before April 2020."
)
_SUBSET = flags.DEFINE_string("subset", None, "ActivityNet's subset, such as validation.")
_OVERLAPS = flags.DEFINE_list(
    "overlaps", None, "Overlaps in time. Default: 0.5 to 0.95; of thumos14 0.3 to 0.7."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder of score.json and of report.html, a page of the score."
)
_JSON = flags.DEFINE_bool("json", False, "Print a record with the value of every class.")


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        from i3d_tf.evaluation.score import score_submission
        from i3d_tf.evaluation.score_report import check_score_dir, write_score

        overlaps = None
        if _OVERLAPS.value is not None:
            try:
                overlaps = [float(value) for value in _OVERLAPS.value]
            except ValueError as error:
                raise ValueError("--overlaps must be numbers with commas between.") from error
        if _OUTPUT_DIR.value is not None:
            check_score_dir(_OUTPUT_DIR.value)
        score = score_submission(
            _RULE.value,
            _TRUTH.value,
            _PREDICTIONS.value,
            _LABEL_MAP.value,
            _EXCLUSIONS.value,
            _SUBSET.value,
            overlaps,
        )
        if _OUTPUT_DIR.value is not None:
            write_score(score, _OUTPUT_DIR.value)
        if _JSON.value:
            print(json.dumps(score.as_json(), indent=1))
        else:
            print_lines(*score.lines())


if __name__ == "__main__":
    app.run(main)

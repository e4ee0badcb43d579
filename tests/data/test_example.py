import json

from i3d_tf.data.example import MAX_SHOWN, DataReport
from i3d_tf.system.tables import SkippedRow

REPORT = DataReport(
    name="ucf101",
    split="train1",
    data_dir="videos",
    rows=10,
    found=1,
    missing=tuple(f"Archery/{number}.avi" for number in range(7)),
    quarantined=(("Archery/bad.avi", "it is empty (0 bytes)"),),
    skipped=(SkippedRow("trainlist01.txt", 8, "no class"),),
    classes=3,
    notes=("3 classes; ucf101 was published with 101",),
)


def test_lines_show_sums_and_start_of_every_list():
    lines = REPORT.lines()
    assert lines[:2] == [
        "ucf101 train1: 10 rows, 3 classes; 1 found, 7 missing, 1 unreadable, 1 skipped",
        "  note: 3 classes; ucf101 was published with 101",
    ]
    assert lines[2 : 2 + MAX_SHOWN] == [
        f"  missing: Archery/{number}.avi" for number in range(MAX_SHOWN)
    ]
    assert lines[2 + MAX_SHOWN :] == [
        "  missing: ... and 2 more",
        "  unreadable: Archery/bad.avi: it is empty (0 bytes)",
        "  skipped: trainlist01.txt line 8: no class",
    ]


def test_as_json_is_complete():
    record = json.loads(json.dumps(REPORT.as_json()))
    assert record["missing"] == list(REPORT.missing)
    assert record["unreadable"] == [{"path": "Archery/bad.avi", "reason": "it is empty (0 bytes)"}]
    assert record["skipped"] == [{"source": "trainlist01.txt", "line": 8, "reason": "no class"}]
    assert (record["rows"], record["found"], record["left_out"]) == (10, 1, 0)

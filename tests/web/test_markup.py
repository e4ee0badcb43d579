from i3d_tf.features.fvd import FvdResult
from i3d_tf.inference.prediction import VideoPrediction, WindowPrediction
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.web.jobs import Recognition, Reversal, SetComparison
from i3d_tf.web.markup import comparison_markup, error_markup, recognition_markup, reversal_markup

EVIL = "<script>alert(1)</script>\x1b[2J.mp4"
SIT, STAND = Prediction("sit_down", 0, 0.9, 4.0), Prediction("stand_up", 1, 0.1, 1.8)


def prediction(*top, **parts):
    return VideoPrediction(EVIL, "rgb", frames=16, seconds=1.92, top=list(top), **parts)


def test_recognition_has_bars_time_line_and_clip():
    windows = [WindowPrediction(0, 2, [SIT, STAND]), WindowPrediction(2, 4, [STAND, SIT])]
    html = recognition_markup(
        Recognition("net", prediction(SIT, STAND, timeline=windows), window=16, clip=b"mp4")
    )
    assert "width:90.00%" in html
    assert "<svg" in html
    assert "a window is 16 frames (2.00 s)" in html
    assert 'src="data:video/mp4;base64,bXA0"' in html


def test_names_stay_text():
    html = recognition_markup(Recognition("net", prediction(SIT))) + error_markup(f"{EVIL}: a\nb")
    assert "<script" not in html
    assert "\x1b" not in html
    assert "&lt;script&gt;" in html
    assert ".mp4: a b" in html


def test_reversal_says_whether_the_class_is_reversed():
    def verdict(backwards, reversal="stand_up"):
        sides = prediction(SIT), prediction(backwards)
        return reversal_markup(Reversal("net", *sides, {"sit_down": (0.9, 0.1)}, reversal))

    assert "sit_down becomes its reversal, stand_up" in verdict(STAND)
    assert "-80.0</td>" in verdict(STAND)
    assert "sit_down both ways" in verdict(SIT)
    assert "becomes run, and not stand_up" in verdict(Prediction("run", 2, 0.5, 1.0))
    assert "becomes run." in verdict(Prediction("run", 2, 0.5, 1.0), reversal=None)


def test_comparison_lists_what_was_left_out():
    protocol = {"frames": 15, "frame_rate": 25 / 3, "resize": "80 x 80", "features": "logits"}
    result = FvdResult(6.5635, 12, 11, 12, protocol, warning="too few")
    html = comparison_markup(SetComparison("net", result, {EVIL: "it is empty"}))
    assert "FVD 6.564" in html
    assert "12 videos in the first set, 11 in the second" in html
    assert "8.333 per second" in html
    assert "too few" in html
    assert "1 left out" in html
    assert "<script" not in html

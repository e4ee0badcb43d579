import json

import numpy as np
import pytest

from i3d_tf.evaluation.report import Evaluation, write_report
from i3d_tf.metrics.classification import fuse, top_k_accuracy

JPEG = "data:image/jpeg;base64,"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_holds_numbers_logits_and_page(tmp_path, six_clips):
    record = write_report(six_clips(), tmp_path / "new" / "report")
    folder = tmp_path / "new" / "report"
    assert names_in(folder) == ["index.html", "logits.npz", "report.json"]
    assert json.loads((folder / "report.json").read_text("utf-8")) == record
    assert (folder / "index.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_the_numbers_can_be_had_again_from_the_logits(tmp_path, six_clips):
    record = write_report(six_clips(), tmp_path)
    with np.load(tmp_path / "logits.npz", allow_pickle=False) as saved:
        assert sorted(saved) == ["class_names", "flow", "labels", "paths", "rgb"]
        assert saved["rgb"].dtype == np.float32
        assert saved["class_names"].tolist() == ["run", "jump", "sit"]
        assert saved["paths"][5] == "data/clip_5.mp4"
        labels = saved["labels"]
        both = fuse({"rgb": saved["rgb"], "flow": saved["flow"]})
        assert top_k_accuracy(saved["rgb"], labels) == record["results"]["rgb"]["top_1"]
        assert top_k_accuracy(both, labels) == record["results"]["joint"]["top_1"]


def test_the_same_evaluation_gives_the_same_bytes(tmp_path, six_clips):
    for name in ("a", "b"):
        write_report(six_clips(), tmp_path / name)
    for name in names_in(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_an_earlier_report_stays_until_the_new_one_is_whole(tmp_path, six_clips, monkeypatch):
    write_report(six_clips(), tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}
    changed = six_clips(labels=np.array([1, 1, 1, 1, 1, 1]))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(np, "savez", full)
        with pytest.raises(OSError, match=r"`report_dir` .* \(No space left on device\)"):
            write_report(changed, tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)} == before
    write_report(changed, tmp_path)
    assert (tmp_path / "report.json").read_bytes() != before["report.json"]
    assert names_in(tmp_path) == sorted(before)


def test_a_folder_that_cannot_be_made_is_named(tmp_path, six_clips):
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(OSError, match=r"`report_dir` .*file.* name another folder"):
        write_report(six_clips(), tmp_path / "file")


def test_the_worst_clips_are_shown(tmp_path, six_clips, write_grey_video):
    video = write_grey_video(tmp_path / "clip.mp4", range(0, 250, 5))  # 50 frames, 2 s
    paths = [str(video)] * 6
    write_report(six_clips(paths=paths), tmp_path / "whole")
    assert (tmp_path / "whole" / "index.html").read_text("utf-8").count(JPEG) == 1


def test_a_strip_shows_the_cut_from_its_start_to_nearly_its_end(tmp_path, write_grey_video):
    from i3d_tf.evaluation.report import _frames_shown

    video = write_grey_video(tmp_path / "clip.mp4", range(0, 250, 5))  # grey is 125 a second
    # From 0.8 s to 1.6 s; the last of four frames is 95 % of the way. A source frame is 5 greys
    # away from the next, and H.264 changes a plain grey by 2 at most.
    shown = _frames_shown(video, 0.8, 1.6)[:, 24, 32, 0]
    np.testing.assert_allclose(shown, 100 + 95 * np.arange(4) / 3, atol=5)


@pytest.mark.parametrize(
    ("cut", "reason"),
    [((None, None), "no such file"), ((3.0, 2.0), "ends before"), ((7.0, None), "ends before")],
)
def test_a_clip_that_cannot_be_shown_says_why(tmp_path, six_clips, write_grey_video, cut, reason):
    video = tmp_path / "gone.mp4"
    if cut != (None, None):
        write_grey_video(video, [0] * 50)
    write_report(six_clips(paths=[str(video)] * 6, cuts=[cut] * 6), tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert JPEG not in page
    assert reason in page.lower()


def test_streams_are_in_one_order_and_kept_as_float32(six_clips):
    evaluation = six_clips(logits={s: np.zeros((6, 3)) for s in ("flow", "rgb")})
    assert list(evaluation.logits) == ["rgb", "flow"]
    assert evaluation.logits["rgb"].dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": {}}, r"`logits` must be of streams among .*received none"),
        ({"logits": {"depth": np.zeros((6, 3))}}, r"received \['depth'\]"),
        ({"logits": {"rgb": np.zeros((6, 4))}}, r"`logits` of rgb must be \(6, 3\).*\(6, 4\)"),
        ({"class_names": ("run", "run", "sit")}, "`class_names` must differ; received 'run' twice"),
        ({"cuts": [(0.0, 1.0)]}, "`cuts` must be 6, one a path; received 1"),
        ({"fusion": "max"}, "`fusion` must be one of .*received 'max'"),
    ],
)
def test_parts_that_do_not_fit_are_named(six_clips, changes, message):
    with pytest.raises(ValueError, match=message):
        six_clips(**changes)


def test_nothing_is_written_for_wrong_labels(tmp_path, six_clips):
    with pytest.raises(ValueError, match=r"within 0\.\.2"):
        write_report(six_clips(labels=np.full(6, 3)), tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_class_names_may_be_any_sequence_of_names():
    evaluation = Evaluation(["a"], ["v.mp4"], [0], {"rgb": [[1.0]]}, {})
    assert evaluation.class_names == ("a",)
    assert evaluation.cuts == ((None, None),)

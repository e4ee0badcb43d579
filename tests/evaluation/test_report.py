import numpy as np
import pytest

from i3d_tf.evaluation.report import check_report_dir, read_film_frames, write_report
from i3d_tf.evaluation.results import VideoPrediction, read_results
from i3d_tf.metrics.classification import fuse, top_k_accuracy

JPEG = "data:image/jpeg;base64,"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_write_report_makes_numbers_logits_and_page(tmp_path, six_clips):
    folder = tmp_path / "new" / "report"
    results = write_report(six_clips(), folder)
    assert names_in(folder) == ["index.html", "logits.npz", "report.json"]
    assert read_results(folder) == results
    lines = (folder / "report.json").read_text("utf-8").splitlines()
    assert len(lines) == 20  # one for each entry and each prediction
    assert (folder / "index.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_logits_file_gives_the_numbers_again(tmp_path, six_clips):
    results = write_report(six_clips(), tmp_path)
    with np.load(tmp_path / "logits.npz", allow_pickle=False) as saved:
        assert sorted(saved) == ["class_names", "flow", "labels", "paths", "rgb"]
        assert saved["rgb"].dtype == np.float32
        assert saved["class_names"].tolist() == ["run", "jump", "sit"]
        assert saved["paths"][5] == "data/clip_5.mp4"
        labels = saved["labels"]
        both = fuse({"rgb": saved["rgb"], "flow": saved["flow"]})
        assert top_k_accuracy(saved["rgb"], labels) == results.by_stream["rgb"].top_1
        assert top_k_accuracy(both, labels) == results.by_stream["joint"].top_1


def test_same_evaluation_gives_same_bytes(tmp_path, six_clips):
    for name in ("a", "b"):
        write_report(six_clips(), tmp_path / name)
    for name in names_in(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_earlier_report_stays_until_new_one_is_whole(tmp_path, six_clips, monkeypatch):
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


def test_folder_that_cannot_be_made(tmp_path, six_clips):
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(OSError, match=r"`report_dir` .*file.* Name another folder"):
        write_report(six_clips(), tmp_path / "file")


def test_page_shows_frames_of_errors(tmp_path, six_clips, write_grey_video):
    video = write_grey_video(tmp_path / "clip.mp4", range(0, 250, 5))  # 50 frames, 2 s
    paths = [str(video)] * 6
    write_report(six_clips(paths=paths), tmp_path / "whole")
    assert (tmp_path / "whole" / "index.html").read_text("utf-8").count(JPEG) == 1


def test_film_frames_go_from_start_to_nearly_end_of_cut(tmp_path, write_grey_video):
    video = write_grey_video(tmp_path / "clip.mp4", range(0, 250, 5))  # grey is 125 a second
    # From 0.8 s to 1.6 s; the last of four frames is 95 % of the way. A source frame is 5 greys
    # away from the next, and H.264 changes a plain grey by 2 at most.
    frames = read_film_frames(VideoPrediction(str(video), 0.8, 1.6, "run", {}))
    np.testing.assert_allclose(frames[:, 24, 32, 0], 100 + 95 * np.arange(4) / 3, atol=5)


@pytest.mark.parametrize(
    ("cut", "reason"),
    [((None, None), "no such file"), ((3.0, 2.0), "ends before"), ((7.0, None), "ends before")],
)
def test_page_says_why_frames_are_missing(tmp_path, six_clips, write_grey_video, cut, reason):
    video = tmp_path / "gone.mp4"
    if cut != (None, None):
        write_grey_video(video, [0] * 50)
    write_report(six_clips(paths=[str(video)] * 6, cuts=[cut] * 6), tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert JPEG not in page
    assert reason in page.lower()


def test_wrong_labels_write_nothing(tmp_path, six_clips):
    with pytest.raises(ValueError, match=r"within 0\.\.2"):
        write_report(six_clips(labels=np.full(6, 3)), tmp_path / "report")
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("name", ["report.json", "logits.npz", "index.html"])
def test_report_replaces_reports_only(tmp_path, six_clips, name):
    write_report(six_clips(), tmp_path)
    check_report_dir(tmp_path)
    (tmp_path / name).write_text("[]")
    with pytest.raises(FileExistsError, match=f"{name}: exists already and was not written by"):
        check_report_dir(tmp_path)

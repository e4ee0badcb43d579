import pytest

from i3d_tf.data.quarantine import VideoCheck, check_line
from i3d_tf.data.readers import read_dataset
from i3d_tf.system.storage import file_state


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ucf", "."), r"`dataset` must be one of .*'kinetics400'.*; received 'ucf'"),
        (("ucf101", ".", "train"), r"`split` of ucf101 must be one of \('train1', .*ved 'train'"),
        (("kinetics400", "."), r"`split` of kinetics400 must be one of .*; received None"),
    ],
)
def test_read_dataset_checks_names(arguments, message):
    with pytest.raises(ValueError, match=message):
        read_dataset(*arguments)


def test_read_dataset_needs_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`data_dir` .*nothing: there is no such folder"):
        read_dataset("class_folders", tmp_path / "nothing")


def test_read_dataset_of_relative_folder(make_tree, monkeypatch):
    monkeypatch.chdir(make_tree(["videos/run/1.mp4", "walk/2.mp4"]))
    assert read_dataset("class_folders", "videos").examples[0].path == "videos/run/1.mp4"
    assert read_dataset("class_folders", "videos/").examples[0].path == "videos/run/1.mp4"
    assert {example.path for example in read_dataset("class_folders", ".").examples} == {
        "./videos/run/1.mp4",
        "./walk/2.mp4",
    }


def test_read_dataset_of_remote_folder(make_tree, found_in):
    folder = f"file://{make_tree(['train/run/1.mp4', 'train/walk/b/2.mp4', 'notes.txt'])}"
    dataset = read_dataset("class_folders", folder, "train")
    assert found_in(dataset, folder) == [
        ("train/run/1.mp4", "run"),
        ("train/walk/b/2.mp4", "walk"),
    ]


def test_read_dataset_leaves_out_quarantined_videos(make_tree):
    folder = make_tree(["run/1.mp4", "run/2.mp4"])
    bad = VideoCheck(f"{folder}/run/1.mp4", None, None, *file_state(f"{folder}/run/1.mp4"), "bad")
    (folder / "bad.jsonl").write_text(check_line(bad, folder))
    dataset = read_dataset("class_folders", folder, quarantine=folder / "bad.jsonl")
    assert [example.path for example in dataset.examples] == [f"{folder}/run/2.mp4"]
    assert dataset.report.quarantined == ((f"{folder}/run/1.mp4", "bad"),)

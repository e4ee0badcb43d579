import pytest

from i3d_tf.data.quarantine import VideoCheck, check_line
from i3d_tf.data.readers import read_dataset
from i3d_tf.experiments.render import render_stick_actions
from i3d_tf.specs.stick_actions import STICK_LABELS
from i3d_tf.system.storage import file_state


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ucf", "."), r"`dataset` must be one of .*'kinetics400'.*; received 'ucf'"),
        (("ucf101", ".", "train"), r"`split` of ucf101 must be one of \('train1', .*ved 'train'"),
        (("kinetics400", "."), r"`split` of kinetics400 must be one of .*; received None"),
    ],
)
def test_names_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        read_dataset(*arguments)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`data_dir` .*nothing: there is no such folder"):
        read_dataset("class_folders", tmp_path / "nothing")


def test_classes_and_paths_of_a_relative_folder(make_tree, monkeypatch):
    monkeypatch.chdir(make_tree(["videos/run/1.mp4", "walk/2.mp4"]))
    assert read_dataset("class_folders", "videos").examples[0].path == "videos/run/1.mp4"
    assert read_dataset("class_folders", "videos/").examples[0].path == "videos/run/1.mp4"
    assert {example.path for example in read_dataset("class_folders", ".").examples} == {
        "./videos/run/1.mp4",
        "./walk/2.mp4",
    }


def test_a_folder_on_another_machine(make_tree, found_in):
    folder = f"file://{make_tree(['train/run/1.mp4', 'train/walk/b/2.mp4', 'notes.txt'])}"
    dataset = read_dataset("class_folders", folder, "train")
    assert found_in(dataset, folder) == [
        ("train/run/1.mp4", "run"),
        ("train/walk/b/2.mp4", "walk"),
    ]


def test_a_quarantine_keeps_videos_out(make_tree):
    folder = make_tree(["run/1.mp4", "run/2.mp4"])
    bad = VideoCheck(f"{folder}/run/1.mp4", None, None, *file_state(f"{folder}/run/1.mp4"), "bad")
    (folder / "bad.jsonl").write_text(check_line(bad, folder))
    dataset = read_dataset("class_folders", folder, quarantine=folder / "bad.jsonl")
    assert [example.path for example in dataset.examples] == [f"{folder}/run/2.mp4"]
    assert dataset.report.quarantined == ((f"{folder}/run/1.mp4", "bad"),)


def test_the_embedded_dataset_as_it_is_rendered(tmp_path):
    render_stick_actions(tmp_path, train_clips=0, test_clips=1, size=64, processes=1)
    dataset = read_dataset("stick_actions", tmp_path, "test")
    assert dataset.class_names == STICK_LABELS
    assert [example.label for example in dataset.examples] == list(range(12))
    assert dataset.report.notes == ()
    with pytest.raises(ValueError, match="stick_actions train: the annotation has no rows"):
        read_dataset("stick_actions", tmp_path, "train")

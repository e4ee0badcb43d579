import pytest

from i3d_tf.zoo.run_record import read_history, read_run


def test_read_run_returns_the_record(tmp_path):
    path = tmp_path / "run.json"
    path.write_text('{"settings": {"steps": 5}, "class_names": ["a"], "epoch_start_step": 3}')
    assert read_run(path)["settings"] == {"steps": 5}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"settings": []}',
        '{"settings": {}, "class_names": "ab"}',
        '{"settings": {}, "class_names": [1]}',
        '{"settings": {}, "earlier": {}}',
        '{"settings": {}, "epoch_start_step": "3"}',
    ],
)
def test_read_run_names_a_damaged_file(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"run\.json: not the settings of a training run \(.+\)\."):
        read_run(path)


def test_read_history_returns_evaluations(tmp_path):
    path = tmp_path / "history.jsonl"
    assert read_history(path) == []
    path.write_text('{"step": 1}\n{"step": 2, "loss": 0.5}\n')
    assert read_history(path) == [{"step": 1}, {"step": 2, "loss": 0.5}]


@pytest.mark.parametrize("line", ["[]", "{", "5", "{}", '{"step": "2"}', '{"step": NaN}'])
def test_read_history_names_a_damaged_file(tmp_path, line):
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 1}\n' + line + "\n")
    with pytest.raises(ValueError, match=r"history\.jsonl: not the evaluations of a training run"):
        read_history(path)

"""The hunt itself: known faults are found, named by their case, and found again."""

import json

import numpy as np
import pytest
from hunt import hunt
from hunt.case import Case, hidden_below
from hunt.kinds import KINDS, SHARES, find_kind, share_cases
from hunt.mutate import damage, damage_json

SELF_TESTS = "sound,broken,dying,greedy,hanging"


@pytest.fixture
def make_case(tmp_path):
    return lambda number=0, kind="sound", seed=0: Case(kind, seed, number, tmp_path, tmp_path)


def test_known_faults_are_found_and_counted(tmp_path, capsys):
    status = hunt.main(["--cases=10", f"--kinds={SELF_TESTS}", f"--folder={tmp_path}"])
    table = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    rows = {row[0]: list(map(int, row[1:8])) for row in table if row[0] in SELF_TESTS.split(",")}
    assert status == 1
    assert rows == {  # cases, crashes, tracebacks, hangs, half files, leftovers, wrong answers
        "sound": [2, 0, 0, 0, 0, 0, 0],
        "broken": [2, 0, 2, 0, 0, 2, 2],
        "dying": [2, 1, 0, 0, 0, 0, 0],
        "greedy": [2, 2, 0, 0, 0, 0, 0],
        "hanging": [2, 0, 0, 1, 0, 0, 0],
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_fault_names_the_command_that_repeats_its_case(tmp_path, capsys):
    hunt.main(["--cases=2", "--kinds=dying", "--seed=3", f"--folder={tmp_path}"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "hunt.py" in line]
    command = line.split("  # ")[0].split("hunt.py ")[1]
    assert command == "--kind=dying --seed=3 --case=1"
    assert hunt.main([*command.split(), f"--folder={tmp_path}"]) == 1
    (folder,) = tmp_path.glob("*/cases/*")  # the files of a single case stay
    assert folder.name == "dying-3-1"


def test_sound_reader_has_no_faults(tmp_path, capsys):
    assert hunt.main(["--cases=5", "--kinds=sound", f"--folder={tmp_path}"]) == 0
    assert "hunt.py" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--kinds=other"], ["--kind=videos"], ["--case=1"]])
def test_arguments_that_cannot_be_meant_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        hunt.main(arguments)
    assert "error" in capsys.readouterr().err


def test_case_follows_from_kind_seed_and_number(make_case):
    def numbers(*arguments):
        return make_case(*arguments).rng.integers(1000, size=4).tolist()

    assert numbers(5) == numbers(5)
    others = [numbers(6), numbers(5, "broken"), numbers(5, "sound", 1)]
    assert numbers(5) not in others


def test_damage_is_the_same_again_and_mostly_differs_from_the_file(make_case):
    content = np.random.default_rng(0).bytes(5000)
    damaged = [damage(content, make_case(number), 100, 200)[0] for number in range(50)]
    assert damaged == [damage(content, make_case(number), 100, 200)[0] for number in range(50)]
    assert sum(each != content for each in damaged) > 40
    assert all(each[:100] == content[:100] for each in damaged)


def test_damaged_json_differs(make_case):
    text = json.dumps({"a": [1, 2], "b": {"c": None}})
    damaged = {damage_json(text, make_case(number))[0] for number in range(50)}
    assert len(damaged) > 20


def test_cases_are_shared_among_all_kinds():
    assert set(SHARES) == set(KINDS)
    counts = share_cases(400, KINDS)
    assert sum(counts.values()) == 400
    assert min(counts.values()) >= 1
    assert counts["videos"] == max(counts.values())
    assert share_cases(1, ["kills"]) == {"kills": 1}


@pytest.mark.parametrize("name", KINDS)
def test_kind_has_its_name(name):
    assert find_kind(name).name == name


def test_hidden_files_are_seen_at_any_depth(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.b").touch()
    (tmp_path / "a/c").touch()
    assert hidden_below(tmp_path) == ["a/.b"]


def test_numbers_of_a_video_tell_what_is_wrong():
    from hunt.videos import FRAMES, fault_of, fault_of_times

    whole = list(range(FRAMES))
    assert fault_of(whole) is None
    assert fault_of(whole[:-10]) is None
    assert "missing" in fault_of(whole[:-20])
    assert "wrong" in fault_of([*whole[:50], *[49] * 10, *whole[60:]])
    assert "wrong" in fault_of([*whole[:50], None, *whole[51:]])
    assert fault_of_times([number // 2 for number in whole]) is None
    assert "only 1" in fault_of_times([0])
    assert "shown 16384 times" in fault_of_times([*whole, *[5] * 16384])

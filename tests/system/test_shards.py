import unicodedata

import pytest

from i3d_tf.system.shards import Shard, parse_shard, shard_index


@pytest.mark.parametrize(
    ("name", "first_bytes"),
    [
        # printf '%s' run/a.mp4 | sha256sum | cut -c1-16
        ("run/a.mp4", 0x9EF4FECDBEE0BF51),
        ("walk/größe.MP4", 0x31946F7F10DDC881),
        ("a.mp4", 0xE6D48EABD560BC60),
    ],
)
def test_shard_index_is_the_start_of_sha256_modulo_the_count(name, first_bytes):
    for form in ("NFC", "NFD"):
        stored = unicodedata.normalize(form, name)
        for count in (1, 2, 3, 64, 1000):
            assert shard_index(stored, count) == first_bytes % count


def test_shard_index_of_a_name_that_is_not_text():
    assert shard_index("latin-\udce9.mp4", 7) in range(7)


@pytest.mark.parametrize("count", [1, 2, 4, 7, 64])
def test_shards_partition_names_and_are_about_equal(count):
    names = [f"class {n % 10}/video_{n}.mp4" for n in range(3000)]
    shards = [[n for n in names if Shard(i, count).holds(n)] for i in range(count)]
    assert sorted(name for shard in shards for name in shard) == sorted(names)
    assert all(0.5 < len(shard) * count / len(names) < 1.6 for shard in shards)


SLURM = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1"}
STEP = {"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}
POD = {"JOB_COMPLETION_INDEX": "5", "JOB_COMPLETIONS": "8"}
BATCH = {"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "10"}


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("0/1", {}, (0, 1)),
        ("3/4", SLURM, (3, 4)),
        ("env", SLURM, (2, 4)),
        ("env", {**SLURM, "SLURM_ARRAY_TASK_MIN": ""}, (3, 4)),
        # --array=10-40:10
        ("env", {**SLURM, "SLURM_ARRAY_TASK_ID": "40", "SLURM_ARRAY_TASK_MIN": "10",
                 "SLURM_ARRAY_TASK_STEP": "10"}, (3, 4)),
        # A batch script of an array job is rank 0 of one task.
        ("env", {**SLURM, "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, (2, 4)),
        # srun --ntasks=2 within each task of an array.
        ("env", {**SLURM, **STEP, "SLURM_STEP_NUM_TASKS": "2"}, (5, 8)),
        ("env", STEP, (1, 2)),
        ("env", {**STEP, "SLURM_JOB_ID": "7", "SLURM_STEP_NUM_TASKS": "2"}, (1, 2)),
        ("env", POD, (5, 8)),
        ("env/6", {"JOB_COMPLETION_INDEX": "5"}, (5, 6)),
        ("env", BATCH, (0, 10)),
        ("env", {**POD, "AWS_BATCH_JOB_ARRAY_INDEX": "5", "AWS_BATCH_JOB_ARRAY_SIZE": "8"}, (5, 8)),
    ],
)  # fmt: skip
def test_parse_shard_reads_flags_and_schedulers(text, environment, expected):
    assert parse_shard(text, environment) == Shard(*expected)


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("4/4", {}, "one of 0/4 to 3/4, as shards are numbered from 0; received '4/4'"),
        ("0/0", {}, "`shard` must be of 1 to 1,000,000 shards; received '0/0'"),
        ("env/0", POD, "`shard` must be of 1 to"),
        ("-1/4", {}, "`shard` must be i/n, such as 0/4, env, or env/n; received '-1/4'"),
        ("3", {}, "must be i/n"),
        ("a/b", {}, "must be i/n"),
        ("", {}, "must be i/n"),
        ("env", {}, "none of SLURM_ARRAY_TASK_ID, SLURM_PROCID, JOB_COMPLETION_INDEX, AWS_BATCH_"),
        ("env", {"JOB_COMPLETION_INDEX": "5"}, r"JOB_COMPLETIONS is not set \(JOB_COMPLETION_IND"),
        ("env/5", {"JOB_COMPLETION_INDEX": "5"}, "index 5 is not one of 5 shards, 0 to 4"),
        ("env", {**BATCH, "AWS_BATCH_JOB_ARRAY_SIZE": "x"}, "ARRAY_SIZE is not a number"),
        ("env", {**BATCH, "AWS_BATCH_JOB_ARRAY_SIZE": "0"}, "ARRAY_SIZE must be 1 to 1,000,000"),
        # --array=1,5,9 has no place for its tasks.
        ("env", {**SLURM, "SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_COUNT": "3"},
         r"index 8 is not one of 3 shards, 0 to 2 \(SLURM_ARRAY_TASK_ID=9, SLURM_ARRAY_TASK_MIN=1"),
        ("env", {**SLURM, "SLURM_ARRAY_TASK_STEP": "4"}, "the task is not one of its array"),
        ("env", {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"},
         r"not started by srun.* \(SLURM_PROCID=0, SLURM_NTASKS=4\)"),
        ("env", {**SLURM, **POD}, "SLURM_ARRAY_TASK_ID says 2/4 and JOB_COMPLETION_INDEX says 5/8"),
    ],
)  # fmt: skip
def test_parse_shard_names_what_is_wrong_in_one_line(text, environment, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_shard(text, environment)
    assert "\n" not in str(caught.value)


def test_parse_shard_reads_the_environment_of_the_process(monkeypatch):
    for name in (*SLURM, *STEP, *POD, *BATCH):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", "2")
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_SIZE", "3")
    assert parse_shard("env") == Shard(2, 3)
    assert str(parse_shard("env")) == "2/3"
    assert parse_shard(None) is None

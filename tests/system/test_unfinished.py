import os
import signal
import subprocess
import sys
import time

import pytest

from i3d_tf.system import files as unfinished
from i3d_tf.system.files import STAGING_LIFETIME, staging_dir

WORK = (
    "import sys, time\n"
    "from i3d_tf.system.files import staging_dir\n"
    "with staging_dir(sys.argv[1]) as folder:\n"
    "    (folder / 'half').write_text('half')\n"
    "    print('working', flush=True)\n"
    "    time.sleep(600)\n"
)


def test_the_folder_goes_with_the_block(tmp_path):
    with staging_dir(tmp_path) as folder:
        assert folder.parent == tmp_path
        (folder / "half").touch()
    assert os.listdir(tmp_path) == []


def test_what_a_killed_job_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    job = subprocess.Popen(
        [sys.executable, "-c", WORK, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert job.stdout.readline() == "working\n"
        (theirs,) = os.listdir(tmp_path)
        with staging_dir(tmp_path) as ours:
            assert sorted(os.listdir(tmp_path)) == sorted([theirs, ours.name])
            job.send_signal(signal.SIGKILL)
            job.wait(60)
        assert os.listdir(tmp_path) == [theirs]
        with staging_dir(tmp_path):
            assert not (tmp_path / theirs).exists()
    finally:
        job.kill()
        job.communicate()
    assert os.listdir(tmp_path) == []


def test_a_job_that_was_killed_before_it_could_lock(tmp_path):
    (tmp_path / ".unfinished-x").mkdir()
    with staging_dir(tmp_path):
        assert not (tmp_path / ".unfinished-x").exists()


def test_where_there_are_no_locks_age_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "fcntl", None)
    for name, age in (("old", STAGING_LIFETIME + 60), ("new", STAGING_LIFETIME - 60)):
        (tmp_path / f".unfinished-{name}").mkdir()
        os.utime(tmp_path / f".unfinished-{name}", (time.time() - age,) * 2)
    with staging_dir(tmp_path):
        assert not (tmp_path / ".unfinished-old").exists()
    assert os.listdir(tmp_path) == [".unfinished-new"]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    message = "file: nothing can be written there: not a directory"
    with pytest.raises(OSError, match=message), staging_dir(tmp_path / "file"):
        pass

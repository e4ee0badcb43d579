import os

import pytest

from i3d_tf.system.errors import UserError, message_of


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("a.mp4: it is empty"), "a.mp4: it is empty"),
        (OSError("a.mp4: it is empty"), "a.mp4: it is empty"),
        (OSError(13, "Permission denied", "a.mp4"), "a.mp4: permission denied."),
        (OSError(13, "Permission denied", b"a\xff"), "a\udcff: permission denied."),
        (OSError(13, "Permission denied", 5), "5: permission denied."),
        (OSError(36, "File name too long", "a", None, "b"), "b: file name too long."),
        (OSError(28, "No space left on device"), "no space left on device."),
    ],
)
def test_message_of_begins_with_the_file(error, message):
    assert message_of(error) == message


def test_message_of_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        os.rename(tmp_path / "a", tmp_path / "b")
    assert message_of(error.value) == f"{tmp_path}/b: no such file or directory."

from i3d_tf.video.errors import VideoError, reason_of


def test_video_error_has_path_and_reason():
    error = VideoError("a.mp4", "it is empty")
    assert (error.path, error.reason, str(error)) == ("a.mp4", "it is empty", "a.mp4: it is empty")


def test_video_error_leaves_out_the_name_of_its_own_source():
    error = VideoError("a.mp4", "it is empty")
    assert error.reason_for("a.mp4") == "it is empty"
    assert error.reason_for("b.mp4") == "a.mp4: it is empty"


def test_reason_of_has_neither_numbers_nor_paths():
    assert reason_of(FileNotFoundError(2, "No such file or directory", "/a/b")) == (
        "no such file or directory"
    )
    assert reason_of(ValueError("embedded null byte")) == "embedded null byte"
    assert reason_of(OSError()) == "OSError".lower()

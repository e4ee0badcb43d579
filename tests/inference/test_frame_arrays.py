import numpy as np
import pytest

from i3d_tf.inference.frame_arrays import check_frames

FRAMES = np.zeros((9, 4, 5, 3), np.uint8)


@pytest.mark.parametrize("video", [FRAMES, FRAMES[np.newaxis]])
def test_check_frames_takes_frames_and_batches(video):
    assert check_frames(video) is video


def test_check_frames_takes_tensors():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return FRAMES

    assert check_frames(Tensor()).shape == FRAMES.shape


@pytest.mark.parametrize(
    ("video", "advice"),
    [
        (FRAMES / 255, r"\[0, 1\] by \(255 \* video\)\.round\(\).*\[-1, 1\] by"),
        (FRAMES.astype(np.float16), r"float16 .*\[0, 1\] by"),
        (FRAMES.astype(int), r"convert them by video\.astype\('uint8'\)"),
        (FRAMES > 0, r"i3d_tf\.read_clip"),
        (None, r"received object \(\)\."),
        (FRAMES.transpose(0, 3, 1, 2), r"numpy\.moveaxis\(video, 1, -1\)"),
        (FRAMES.transpose(3, 0, 1, 2), r"numpy\.moveaxis\(video, 0, -1\)"),
        (FRAMES.transpose(0, 3, 1, 2)[None], r"numpy\.moveaxis\(video, 2, -1\)"),
        (FRAMES[0], r"One picture is no video; numpy\.stack"),
        (FRAMES[..., :1], r"video\.repeat\(3, axis=-1\)"),
        (FRAMES.repeat(2, -1)[..., :4], r"video\[\.\.\., :3\]"),
        (FRAMES[:8], "Give at least 9 frames"),
        (FRAMES[:, :0], "Its axes are time, height, width and channels"),
        (FRAMES[None, None], "Its axes are"),
    ],
)
def test_check_frames_says_what_to_do(video, advice):
    with pytest.raises(ValueError, match=f"^`video` must be a path, or uint8 frames .*{advice}"):
        check_frames(video)

import cv2
import numpy as np

from i3d_tf.viz.contact_sheet import contact_sheet, write_png


def flat_clip(levels, height=40, width=60):
    values = np.array(levels, np.uint8)[:, None, None, None]
    return np.broadcast_to(values, (len(levels), height, width, 3)).copy()


def test_contact_sheet_shows_frames_from_first_to_last():
    sheet = contact_sheet([flat_clip([10, 20, 30, 40, 50])], [""], columns=3, height=40)
    assert sheet.shape == (40, 180, 3)
    # below the caption's bar, in the middle of each frame
    assert sheet[35, [30, 90, 150], 0].tolist() == [10, 30, 50]


def test_contact_sheet_pads_narrow_rows():
    clips = [flat_clip([99]), flat_clip([99], width=20)]
    sheet = contact_sheet(clips, ["a", "b"], columns=2, height=40)
    assert sheet.shape == (80, 120, 3)
    assert sheet[75, 39, 0] == 99
    assert sheet[75, 41:, :].max() == 0


def test_write_png_keeps_the_order_of_channels(tmp_path):
    picture = np.zeros((4, 5, 3), np.uint8)
    picture[..., 0] = 200  # red
    write_png(tmp_path / "räd.png", picture)
    data = np.frombuffer((tmp_path / "räd.png").read_bytes(), np.uint8)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR)[0, 0].tolist() == [0, 0, 200]  # blue first

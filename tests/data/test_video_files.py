import unicodedata

import pytest

from i3d_tf.data.video_files import VideoFiles, safe_name, safe_path


def test_find_takes_first_folder_with_the_video(make_tree):
    files = VideoFiles(str(make_tree(["a/1.avi", "b/1.avi", "b/2.avi"])))
    assert files.find(("nowhere", "a", "b"), "1.avi") == "a/1.avi"
    assert files.find(("nowhere", "a", "b"), "2.avi") == "b/2.avi"
    assert files.find(("", "nowhere"), "1.avi") is None


def test_find_accepts_and_counts_other_endings(make_tree):
    files = VideoFiles(
        str(make_tree(["1.mp4", "2.AVI", "3.mp4", "3.avi", "4.txt", "v1.2.mp4", "5.avi", "5.MP4"]))
    )
    assert files.find(("",), "2.avi") == "2.AVI"
    assert files.find(("",), "3.avi") == "3.avi"
    assert files.find(("",), "3.mp4") == "3.mp4"
    assert files.find(("",), "5.mp4") == "5.MP4"
    assert files.find(("",), "v1.2") == "v1.2.mp4"  # .2 is not an ending
    assert files.other_endings == 0
    assert files.find(("",), "1.avi") == "1.mp4"
    assert files.other_endings == 1
    assert files.find(("",), "4.txt") is None


def test_find_ignores_folders_and_dangling_links(make_tree):
    folder = make_tree(["1.mp4/x"])
    (folder / "2.mp4").symlink_to("nowhere")
    files = VideoFiles(str(folder))
    assert files.find(("",), "1.mp4") is None
    assert files.find(("",), "2.mp4") is None


def test_find_takes_a_folder_of_pictures_where_there_is_no_file(make_tree):
    accented = unicodedata.normalize("NFD", "Größe")
    names = ["a/1/img_1.jpg", "a/2/cover.jpg", "b/3/1.jpg", "b/3.avi", f"b/{accented}/1.png"]
    files = VideoFiles(str(make_tree(names)))
    assert files.find(("a",), "1.avi") == "a/1"
    assert files.find(("a",), "1") == "a/1"
    assert files.find(("a",), "2.avi") is None
    assert files.find(("b",), "3.mp4") == "b/3.avi"
    assert files.find(("b",), "Größe.mp4") == f"b/{accented}"


def test_find_normalizes_accents(make_tree):
    stored, listed = (unicodedata.normalize(form, "Größe é.mp4") for form in ("NFD", "NFC"))
    files = VideoFiles(str(make_tree([stored])))
    assert files.find(("",), listed) == stored


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a/b c.mp4", "a/b c.mp4"),
        (r"a\b.mp4", "a/b.mp4"),
        ("a/../b.mp4", "b.mp4"),
        ("./a//b.mp4", "a/b.mp4"),
        ("..a/b.mp4", "..a/b.mp4"),
        ("体操/größe\u00a01.mp4", "体操/größe\u00a01.mp4"),
    ],
)
def test_safe_path(text, path):
    assert safe_path(text) == path


@pytest.mark.parametrize(
    "text",
    ["/etc/passwd", "../a.mp4", "a/../../b.mp4", "..", r"..\a.mp4", r"C:\a.mp4", "C:a", "gs://a/b"],
)
def test_safe_path_refuses_paths_that_lead_out(text):
    with pytest.raises(ValueError, match="leads out of `data_dir`; give a path below it"):
        safe_path(text)


@pytest.mark.parametrize("text", ["", ".", "a/..", "a\0.mp4", "a\n.mp4"])
def test_safe_path_refuses_text_that_is_no_path(text):
    with pytest.raises(ValueError, match="is not the name of a file"):
        safe_path(text)


def test_safe_name_refuses_slashes():
    assert safe_name("a b.mp4") == "a b.mp4"
    with pytest.raises(ValueError, match="must be a name without slashes"):
        safe_name("a/b.mp4")

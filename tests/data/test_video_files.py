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


def test_find_accepts_several_endings(make_tree):
    names = ["one_1.mp4.mkv", "two.mp4", "3.webm.mp4", "3.mp4", "a/4.avi", "b/4.avi.mp4"]
    files = VideoFiles(str(make_tree(names)))
    assert files.find(("",), "one_1") == "one_1.mp4.mkv"
    assert files.find(("",), "one_1.mp4") == "one_1.mp4.mkv"
    assert files.find(("",), "two.webm.mp4") == "two.mp4"
    assert files.find(("",), "3.webm.mp4") == "3.webm.mp4"
    assert files.find(("",), "3") == "3.mp4"
    assert files.find(("b", "a"), "4.avi") == "a/4.avi"  # rather than another name
    assert files.find(("b",), "4.avi") == "b/4.avi.mp4"
    assert files.find(("",), "one") is None


def test_find_takes_no_cover_for_a_video(make_tree):
    folder = make_tree(["1.webp", "1.wmv", "2.webp", "-3.mp4"])
    files = VideoFiles(str(folder))
    assert files.find(("",), "1") == "1.wmv"
    assert files.find(("",), "2") is None
    assert files.find(("",), "-3") == "-3.mp4"


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
    files = VideoFiles(str(make_tree([stored, listed])))
    assert files.find(("",), listed) == listed
    assert files.find(("",), stored) == stored


def test_find_normalizes_accents_of_folders(make_tree):
    stored, listed = (unicodedata.normalize(form, "Übung/schöne") for form in ("NFD", "NFC"))
    names = [f"{stored}/1.mp4", f"{listed}/2.mp4", f"{stored}/3/1.jpg"]
    files = VideoFiles(str(make_tree(names)))
    for folder in (listed, stored):
        assert files.find((folder,), "1.avi") == f"{stored}/1.mp4"
        assert files.find((folder,), "2.avi") == f"{listed}/2.mp4"
        assert files.find((folder,), "3.avi") == f"{stored}/3"
    assert files.find(("nirgendwo/schöne", listed), "2.mp4") == f"{listed}/2.mp4"


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

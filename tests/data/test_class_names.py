import unicodedata

import pytest

from i3d_tf.data.class_names import ClassNames, read_class_names
from i3d_tf.specs.labels import LABEL_SETS, read_labels

NAMES = ClassNames(("air drumming", "Archery", "belly dancing"))


@pytest.mark.parametrize(
    ("spelling", "label"),
    [("Archery", 1), ("archery", 1), ("belly_dancing", 2), ("Air  Drumming", 0), ("archer", None)],
)
def test_find_ignores_spelling(spelling, label):
    assert NAMES.find(spelling) == label


def test_find_compares_accents_as_letters():
    nfc, nfd = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))
    assert ClassNames([nfc]).find(nfd) == ClassNames([nfd]).find(nfc) == 0
    assert ClassNames([nfd]).find(nfc.upper().replace("SS", "ß")) == 0


def test_find_prefers_exact_name():
    names = ClassNames(("a_b", "a b"))
    assert (names.find("a_b"), names.find("a b")) == (0, 1)
    assert names.find("A B") is None  # it might be either


@pytest.mark.parametrize("label_set", LABEL_SETS)
def test_find_matches_every_class_of_kinetics_in_other_spellings(label_set):
    names = ClassNames(read_labels(label_set))
    for label, name in enumerate(names.names):
        assert names.find(name.upper().replace(" ", "_")) == label


def test_subset_keeps_the_order():
    assert NAMES.subset(["belly_dancing", "air drumming"]).names == (
        "air drumming",
        "belly dancing",
    )
    assert NAMES.subset(None) is NAMES
    with pytest.raises(ValueError, match=r"received 'archer' \(did you mean 'Archery'\?\)"):
        NAMES.subset(["archer"])


def test_read_class_names_from_list_or_file(make_tree):
    folder = make_tree(texts={"classes.txt": "\ufeffsit down\r\nstand up\r\n\r\n"})
    assert read_class_names(folder / "classes.txt") == ("sit down", "stand up")
    assert read_class_names(["b", "a"]) == ("b", "a")
    assert read_class_names(None) is None


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "`classes` must hold at least one class name"),
        ([1, 2], "`classes` must hold at least one class name"),
        (["a", "b", "a"], "`classes` must name every class once; 'a' occurs twice"),
    ],
)
def test_read_class_names_refuses(classes, message):
    with pytest.raises(ValueError, match=message):
        read_class_names(classes)

"""Names that users give to files and folders, however odd."""

from pathlib import PurePath

import pytest

from defectbench.names import LONGEST, in_table, link_names, printable, short, unfit_key


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("grün, 1.png", "grün, 1.png"),
        ("gr\udcfcn\n.png", r"gr\xfcn\x0a.png"),
        ("\x1b[31mred.png", r"\x1b[31mred.png"),
        ("gnp\u202e.exe", r"gnp\u202e.exe"),
        ("a\\b", "a\\b"),
        ("\x85\udc85", r"\u0085\x85"),
        ("\U000e0001\ue0001", r"\U000e0001\ue0001"),
    ],
)
def test_what_cannot_be_seen_in_a_name_is_shown(name: str, shown: str):
    assert printable(name) == shown


@pytest.mark.parametrize("name", ["=cmd|'/C calc'!A1.png", "+1.png", "-1.png", "@a.png"])
def test_no_name_in_a_table_begins_a_formula_and_each_still_names_its_file(name: str):
    assert in_table(name) == f"./{name}"
    assert PurePath(in_table(name)) == PurePath(name)


def test_no_two_names_are_one_in_a_table():
    names = [
        "gr\udcfcn.png",
        r"gr\xfcn.png",
        r"gr\\xfcn.png",
        "gr\xadn",
        "gr\udcadn",
        "\n",
        r"\x0a",
    ]
    assert len({*map(in_table, names)}) == len(names)
    assert in_table(r"gr\xfcn.png") == r"gr\\xfcn.png"


def test_a_long_name_leaves_room_for_an_ending_and_stays_another_one():
    one, other = "ü" * 120 + "1", "ü" * 120 + "2"
    assert short(one) != short(other)
    assert len(short(one).encode()) <= LONGEST
    assert short("plate") == "plate"


@pytest.mark.parametrize(
    "paths",
    [
        ["ok/0.png", "ok/0.jpg"],
        ["a/b.png", "a__b.png"],
        ["A.png", "a.PNG"],
        [f"{'x' * 250}1.png", f"{'x' * 250}2.png"],
        ["/".join(["y" * 60] * 5) + ".png"],
    ],
)
def test_links_to_several_files_have_names_of_their_own(paths: list[str]):
    names = link_names(paths)
    assert len({PurePath(name).stem.casefold() for name in names}) == len(paths)
    assert [PurePath(name).suffix for name in names] == [PurePath(p).suffix for p in paths]
    assert all(len(f"{name}_mask.png".encode()) < 255 and "/" not in name for name in names)


def test_a_name_that_is_no_other_ones_stays_as_it_is():
    assert link_names(["ok/a/0.png", "ok/b/0.png"]) == ["ok__a__0.png", "ok__b__0.png"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("{wild}", "cannot hold { }"),
        ("<b>", "cannot hold < >"),
        ("a\\b", r"cannot hold \\"),
        ("a\rb", "control characters"),
        ("gr\udcfcn", "not UTF-8"),
        ("=cmd", "cannot begin with ="),
        ("x" * 180, "at most 120 bytes"),
        ("a" * 20, "twenty times"),
        ("plate" + "ab" * 25, "twenty times"),
    ],
)
def test_a_folder_that_cannot_be_a_category_is_told_why(name: str, why: str):
    assert why.replace(r"\\", "\\") in unfit_key(name)


@pytest.mark.parametrize("name", ["a b", "it's", "50%", "a*b", "x[1]", "ü", "été", "$HOME", "(x)"])
def test_other_names_are_those_of_categories(name: str):
    assert unfit_key(name) == ""

"""What a file of settings may hold."""

from pathlib import Path

import pytest

from defectbench.errors import InputError
from defectbench.startup import read_settings


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds no settings"),
        (b"# only a comment\n", "holds no settings"),
        (b"- a\n- b\n", "holds no settings"),
        (b"a: 1\na: 2\n", "the key 'a' stands there twice"),
        (b"datasets: {parts: {path: a}, parts: {path: b}}\n", "the key 'parts' stands there twice"),
        (b"a: [1\n", "cannot be read as settings"),
        ("größe: 1".encode("latin-1"), "is no UTF-8 text; save it"),
        ("size: 1".encode("utf-16"), "is no UTF-8 text; save it"),
        (b"limits: &a {escapes: *a}\n", "cannot be read as settings"),
        (b"[" * 3000, "is nested too deeply"),
        (None, "no such file"),
    ],
)
def test_what_holds_no_settings_is_refused_in_one_line(
    tmp_path: Path, content: bytes | None, told: str
):
    file = tmp_path / "my.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=told) as refused:
        read_settings(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert "\n" not in str(refused.value)


def test_settings_with_a_byte_order_mark_are_read(tmp_path: Path):
    (tmp_path / "my.yaml").write_bytes("seed: 7\n".encode("utf-8-sig"))
    assert read_settings(tmp_path / "my.yaml") == {"seed": 7}

"""Colours of the page: texts have the contrast that WCAG 2.2 asks for at level AA, 4.5 to 1."""

import re

import pytest

from defectbench.reports.rendering import TEMPLATES

STYLE = (TEMPLATES / "style.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, flags=re.S)
)
TEXTS = [
    (ink, paper) for ink in ("ink", "soft", "accent", "good", "bad") for paper in ("paper", "panel")
]
TEXTS += [("flag-ink", "flag")]
"""Colours of texts, and of what they stand on."""


def luminance(colour: str) -> float:
    """Relative luminance of ``#rgb`` or ``#rrggbb`` (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_largest_contrast():
    assert contrast("#000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("scheme", [LIGHT, LIGHT | DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "paper"), TEXTS)
def test_texts_can_be_read(scheme: dict[str, str], ink: str, paper: str):
    assert contrast(scheme[ink], scheme[paper]) >= 4.5


def test_figures_of_the_heat_table_can_be_read():
    papers = dict(re.findall(r"\.s(\d) \{ background: (#[0-9a-f]{6}); \}", STYLE))
    inks = re.findall(r"^((?:\.s\d,? ?)+)\{ color: (#[0-9a-f]{3,6}); \}", STYLE, flags=re.M)
    shades = {shade: ink for names, ink in inks for shade in re.findall(r"\d", names)}
    assert papers.keys() == shades.keys() == set("0123456789")
    for shade, paper in papers.items():
        assert contrast(shades[shade], paper) >= 4.5, shade

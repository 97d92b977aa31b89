"""The page, as a reader in a browser has it: opened from disk, with the network off."""

import itertools
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from made_results import RATES, STRANGE, UNICODE

from defectbench.evaluation.operating_points import judged
from defectbench.evaluation.promises import RULES, Asked, promise
from defectbench.evaluation.rates import share_interval
from defectbench.records import Scores

SHOTS = Path(__file__).parent / "screenshots"
DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture
def page(browser: Browser, parts: Path) -> Browser:
    """The page of the generated parts, freshly opened on a desktop."""
    browser.media()
    browser.size(*DESKTOP)
    browser.log("browser"), browser.log("performance")
    browser.open(parts)
    return browser


@pytest.fixture
def carried(parts: Path) -> dict:
    """The data in the page."""
    text = parts.read_text().split('id="data">')[1].split("</script>")[0]
    return json.loads(text)


def test_it_opens_without_an_error_and_asks_for_nothing(page: Browser, parts: Path):
    page.screenshot(SHOTS / "desktop.png", whole=True)
    assert page.log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in page.log("performance")]
    asked = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert {url for url in asked if not url.startswith("data:")} == {parts.as_uri()}


def test_the_answer_stands_on_the_first_screen(page: Browser):
    page.screenshot(SHOTS / "first_screen.png")
    (answer,) = page.texts(".headline")
    assert "is the best." in answer
    assert "Not usable yet on " in answer
    assert ": too many defective parts slip through" in answer
    assert len(page.texts(".tiles dt")) == 4
    bottom = page.run(
        "return document.querySelector('.examples .picture').getBoundingClientRect().bottom"
    )
    assert bottom < DESKTOP[1]
    shown = page.texts(".examples article[data-category=plate] .verdict")
    assert shown == ["found", "missed"]
    assert "What would help most" in page.texts("#decision h3")


def test_a_heading_that_is_jumped_to_is_not_under_the_bar(page: Browser):
    for link in page.run("return [...document.querySelectorAll('nav a')].map(a => a.hash)"):
        page.run("location.hash = arguments[0]", link)
        bar, heading = (
            page.run(
                "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()",
                selector,
            )
            for selector in ("#filters", f"{link} h2")
        )
        assert heading["top"] >= min(bar["bottom"], DESKTOP[1] - heading["height"]), link


def test_names_are_text_whatever_they_look_like(page: Browser):
    assert page.run("return document.title") == "parts: which detector finds the defects?"
    assert page.run("return document.querySelectorAll('img[onerror], td b b').length") == 0
    rows = page.texts("#decision-table tbody th")
    assert rows == ["plate", STRANGE, UNICODE, "spotless"]
    assert "$x_1$ (12)" in page.texts("#scores svg text")
    assert "<b>bold</b> (12)" in page.texts("#scores svg text")


def test_a_category_without_defects_says_so_and_breaks_nothing(page: Browser):
    row = page.texts("#decision-table tr[data-category=spotless] td")
    assert "cannot be judged" in row[0]
    assert row[1] == "cannot be judged"
    assert "No curves: no defective test images." in page.texts("#curves article p")


def test_a_click_on_a_heading_sorts_and_a_second_one_turns_the_order(page: Browser):
    heading = "#heat-table thead th:nth-child(2)"

    def column() -> list[float]:
        texts = page.texts("#heat-table tbody td:nth-child(2)")
        return [float(text.split("\n")[0].strip("≈ ")) for text in texts if text != "–"]

    page.click(f"{heading} button")
    assert column() == sorted(column())
    assert page.run(f"return document.querySelector('{heading}').ariaSort") == "ascending"
    page.click(f"{heading} button")
    assert column() == sorted(column(), reverse=True)
    # what has no value stays last
    assert page.texts("#heat-table tbody tr:last-child th") == ["spotless"]


def test_a_filter_leaves_one_category_one_detector_one_type_of_defect(page: Browser):
    page.choose("#filter-category", "plate")
    assert page.texts("#decision-table tbody th") == ["plate"]
    assert [text.split("\n")[0].split("  ")[0] for text in page.texts("#curves h3")] == [
        "plate 40 good and 35 defective test images"
    ]
    page.choose("#filter-defect", "dent")
    shown = page.texts("#gallery .picture figcaption")
    assert shown
    assert all("plate · dent" in text for text in shown)
    page.choose("#filter-detector", "dfkde resnet18")
    points = page.texts("#points-table tbody tr")
    assert len(points) == len(RATES) * len(RULES)
    assert all("dfkde on resnet18" in row for row in points)
    page.screenshot(SHOTS / "filtered.png", whole=True)
    page.click("#filter-none")
    assert len(page.texts("#decision-table tbody th")) == 4


def rates(page: Browser) -> dict[str, list | None]:
    """What the page says that the threshold does: counts and intervals, by the kind of mistake."""
    script = "return document.querySelector('#judge-counts').dataset[arguments[0]]"
    found = {kind: json.loads(page.run(script, kind)) for kind in ("escapes", "alarms")}
    return {
        kind: each and [each["hits"], each["of"], *each["interval"]] for kind, each in found.items()
    }


def of_python(carried: dict, category: str, detector: str, threshold: float) -> dict:
    (entry,) = (
        entry
        for entry in carried["scores"]
        if (entry["category"], entry["detector"]) == (category, detector)
    )
    labels = np.array(carried["images"][category]["labels"])
    nowhere = np.full(len(labels), "")
    test = Scores([], labels, nowhere, nowhere, np.array(entry["scores"]))
    return of_point(judged(test, threshold))


def of_point(point: dict) -> dict:
    """Hits, images and limits of a point, as `rates` has them."""
    found = {}
    for kind, hits, misses, rate in (
        ("escapes", "escapes", "found", "escape_rate"),
        ("alarms", "false_alarms", "passed", "false_alarm_rate"),
    ):
        ends = point[f"{rate}_interval"]
        counts = [point[hits], point[hits] + point[misses]] if ends else []
        found[kind] = [*counts, *(pytest.approx(end, abs=1e-9) for end in ends)] if ends else None
    return found


def threshold_of(page: Browser) -> float:
    return float(page.run("return document.querySelector('#judge-threshold').value"))


@pytest.mark.parametrize("category", ["plate", STRANGE, "spotless"])
def test_the_slider_counts_as_python_does(page: Browser, carried: dict, category: str):
    page.choose("#judge-category", category)
    for detector, step in itertools.product(
        ("fre resnet18", "dfkde resnet18"), (0, 1, 330, 500, 999, 1000)
    ):
        page.choose("#judge-detector", detector)
        page.choose("#judge-slider", str(step))
        expected = of_python(carried, category, detector, threshold_of(page))
        assert rates(page) == expected, (detector, step)


def test_intervals_of_images_in_groups_are_those_of_python(page: Browser):
    rng = np.random.default_rng(3)
    for images in (1, 2, 9, 60, 400):
        for groups in (1, 2, 7, images):
            hits = rng.random(images) < rng.random()
            names = rng.integers(groups, size=images)
            given = hits.astype(int).tolist(), names.tolist()
            found = page.run("return shareInterval(arguments[0], arguments[1])", *given)
            expected = share_interval(hits, names.astype(str))
            assert found["interval"] == pytest.approx(expected, abs=1e-9), (images, groups)


def test_knob_and_line_stand_at_the_same_score(page: Browser, carried: dict):
    page.choose("#judge-category", "plate")
    for step in (0, 250, 700, 1000):
        page.choose("#judge-slider", str(step))
        knob, line = page.run(
            """const slider = document.querySelector('#judge-slider'), knob = 16;
            const box = slider.getBoundingClientRect();
            const at = box.left + knob / 2 + slider.value / slider.max * (box.width - knob);
            const line = document.querySelector('#judge-line').getBoundingClientRect();
            return [at, line.left + line.width / 2]"""
        )
        assert knob == pytest.approx(line, abs=1.5)
    axis = next(
        each["axis"]
        for each in carried["scores"]
        if (each["category"], each["detector"]) == ("plate", "fre resnet50")
    )
    assert threshold_of(page) == pytest.approx(axis["high"], rel=1e-5)
    texts = page.texts("#judge-plot text")
    assert "images" in texts
    assert any(text.startswith("anomaly score (") for text in texts)
    assert sum(re.fullmatch(r"-?[\d.]+", text) is not None for text in texts) >= 4


def test_the_command_exports_the_nearest_threshold_that_a_rate_sets(page: Browser, carried: dict):
    page.choose("#judge-category", "plate")
    page.choose("#judge-slider", "700")
    text, command = page.run(
        "return [...document.querySelectorAll('#judge-export > *')].map(e => e.textContent)"
    )
    file = r"results/parts/plate/fre/resnet50/detector_at_(0\.\d+)\.onnx"
    typed = rf"snakemake --configfile my.yaml -- {file}"
    rate = float(re.fullmatch(typed, command)[1])
    (entry,) = (
        each
        for each in carried["scores"]
        if (each["category"], each["detector"]) == ("plate", "fre resnet50")
    )
    wanted = threshold_of(page)
    nearest = min((threshold for threshold, _ in entry["rates"]), key=lambda t: abs(t - wanted))
    good = np.array(entry["good"])
    assert promise(good, [""] * len(good), Asked(rate))["threshold"] == nearest
    assert f"{nearest:.6g}, for" in text


def test_the_buttons_set_the_thresholds_of_the_operating_points(page: Browser, parts: Path):
    page.choose("#judge-category", "plate")
    page.choose("#judge-detector", "fre resnet50")
    (cell,) = (
        c
        for c in json.loads(parts.with_suffix(".json").read_text())["cells"]
        if (c["category"], c["detector"]) == ("plate", "fre resnet50")
    )
    honest = cell["honest"]
    assert rates(page) == of_point(honest)
    own_rule = [point for point in cell["points"] if point["rule"] == honest["rule"]]
    others = [point for point in own_rule if point["asked"] != honest["asked"]]
    for place, point in enumerate([honest, *others], 1):
        page.click(f"#judge-presets button:nth-child({place})")
        assert rates(page) == of_point(point)
    assert page.texts("#judge-presets button")[-2:] == ["least cost", "oracle, set with the labels"]
    page.click("#judge-presets button:last-child")
    assert threshold_of(page) == cell["oracle_threshold"]


def test_a_picture_of_a_good_image_that_sets_the_threshold_is_shown_and_judged_by_none(
    page: Browser,
):
    assert page.texts("#set-by .picture small") == ["0.png"]
    page.choose("#judge-category", "plate")
    page.choose("#judge-slider", "0")
    assert page.log("browser") == []
    at = "return document.querySelector('#judge-line').getAttribute('x1')"
    first = float(page.run(at))
    page.choose("#judge-slider", page.run("return document.querySelector('#judge-slider').max"))
    assert float(page.run(at)) > first


def test_the_pictures_follow_the_threshold(page: Browser):
    page.choose("#filter-category", "plate")
    page.choose("#judge-slider", "0")
    assert set(page.texts("#gallery .picture .verdict")) == {"found", "false alarm"}
    page.choose("#judge-show", "missed")
    assert page.texts("#gallery .picture") == []
    page.choose("#judge-slider", "1000")
    assert set(page.texts("#gallery .picture .verdict")) == {"missed"}


def test_a_threshold_judges_the_pictures_of_its_own_category_and_detector_alone(page: Browser):
    shown = """return [...document.querySelectorAll('#gallery .picture')]
        .filter(e => e.checkVisibility()).map(e => [e.dataset.category, e.dataset.detector])"""
    for category, detector in (("plate", "fre resnet50"), (UNICODE, "fre resnet50")):
        page.choose("#judge-category", category)
        assert set(map(tuple, page.run(shown))) == {(category, detector)}
    page.choose("#judge-detector", "dfkde resnet18")
    assert set(map(tuple, page.run(shown))) == {(UNICODE, "dfkde resnet18")}
    assert set(page.texts("#gallery .picture .verdict")) <= {"missed", "false alarm"}
    page.choose("#filter-detector", "fre resnet18")
    assert set(map(tuple, page.run(shown))) == {(UNICODE, "fre resnet18")}


def test_a_picture_opens_large_and_the_keyboard_turns_over_and_closes(page: Browser):
    page.click(".picture img")
    assert page.run("return document.querySelector('#lightbox').open")
    first = page.texts("#lightbox figcaption")
    page.screenshot(SHOTS / "lightbox.png")
    page.press("Right")
    assert page.texts("#lightbox figcaption") != first
    page.press("Left")
    assert page.texts("#lightbox figcaption") == first
    page.press("Escape")
    assert not page.run("return document.querySelector('#lightbox').open")
    assert page.run("return document.activeElement.tagName") == "IMG"  # where it was opened
    page.press("Enter")
    assert page.run("return document.querySelector('#lightbox').open")


def test_the_keyboard_alone_reads_the_page(page: Browser):
    """Tab from the top: links, filters, slider, its buttons, pictures; then it is used."""
    focused = """const e = document.activeElement;
        return e.id || (e.closest('nav') ? 'link' : e.closest('#judge-presets') ? 'preset'
            : e.closest('#gallery .picture') ? 'picture' : e.tagName)"""
    reached = []
    for _ in range(120):
        page.press("Tab")
        reached.append(page.run(focused))
    order = ["link", "filter-category", "filter-detector", "filter-defect", "filter-none"]
    order += ["judge-category", "judge-detector", "judge-show", "judge-slider", "judge-threshold"]
    order += ["preset", "picture"]
    places = [reached.index(name) for name in order]
    assert places == sorted(places)
    page.run("document.querySelector('#judge-slider').focus()")
    before, said = threshold_of(page), page.texts("#judge-counts")
    for _ in range(30):
        page.press("Right")
    assert threshold_of(page) > before
    assert page.texts("#judge-counts") != said  # a live region: a screen reader says it
    told = page.run("return document.querySelector('#judge-slider').ariaValueText")
    assert re.match(r"threshold [\d.]+, above [\d.]+ % of good parts: \d+ of 1,000 defective", told)
    page.run("document.querySelector('#points-table thead button').focus()")
    page.press("Enter")
    assert page.run("return document.querySelector('#points-table th').ariaSort") == "ascending"


def test_every_control_has_a_name_for_those_who_do_not_see_it(page: Browser):
    nameless = page.run(
        """return [...document.querySelectorAll('select, input, button, img[role=button]')]
           .filter(e => !(e.labels && e.labels.length) && !e.ariaLabel && !e.textContent.trim()
                        && !e.alt).map(e => e.outerHTML)"""
    )
    assert nameless == []


def test_it_prints_with_everything_but_the_controls(page: Browser):
    page.media("print", "dark")
    assert page.texts(".controls, nav") == []
    assert len(page.texts("main > section")) == 11
    # those of the recommended detectors, also where the slider does not stand
    recommended = "return document.querySelectorAll('#gallery .picture:not(.other)').length"
    assert len(page.texts("#gallery .picture")) == page.run(recommended) > 30
    assert page.run("return getComputedStyle(document.documentElement).color") == "rgb(26, 29, 33)"
    page.media()
    pdf = page.pdf()
    (SHOTS / "print.pdf").write_bytes(pdf)
    assert 3 <= pdf.count(b"/Type /Page\n") <= 20


def test_it_fits_a_phone(page: Browser):
    page.size(*PHONE)
    page.screenshot(SHOTS / "phone_first_screen.png")
    page.screenshot(SHOTS / "phone.png", whole=True)
    assert page.run("return document.documentElement.scrollWidth") <= PHONE[0]
    # every column of every table is in sight
    assert (
        page.run(
            """return Math.max(...[...document.querySelectorAll('main table td, main table th')]
           .filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect().right))"""
        )
        <= PHONE[0]
    )
    smallest = page.run(
        """return Math.min(...[...document.querySelectorAll('main svg text')]
           .map(e => e.getBoundingClientRect().height))"""
    )
    assert smallest >= 9


def test_it_can_be_read_without_a_script(page: Browser):
    page.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.call("POST", "/refresh")
        page.screenshot(SHOTS / "without_script.png")
    finally:
        page.devtools("Emulation.setScriptExecutionDisabled", value=False)
    assert page.texts("#filters, #judge, #save, #gallery .other") == []
    assert len(page.texts("#decision-table tbody tr")) == 4
    assert len(page.texts("#points-table tbody tr")) == 4 * len(RATES) * len(RULES)


CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
function rgb(colour) {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
}
function luminance(c) {
    const [r, g, b] = c.slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function paper(e) {
    for (; e; e = e.parentElement) {
        const c = rgb(getComputedStyle(e).backgroundColor);
        if (c[3] === 255) return c;
    }
    return [255, 255, 255];
}
return [...document.querySelectorAll('main *')]
    .filter(e => e.checkVisibility())
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => {
        const [a, b] = [luminance(rgb(getComputedStyle(e).color)), luminance(paper(e))].sort();
        return [e.tagName + '.' + e.className, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    }).filter(([name, ratio]) => ratio < 4.5);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_that_readers_need(page: Browser, scheme: str):
    page.media("", scheme)
    page.screenshot(SHOTS / f"{scheme}.png", whole=True)
    assert page.run(CONTRAST) == []


def test_pictures_and_figures_have_words_for_those_who_do_not_see_them(page: Browser):
    assert page.run(
        """return [...document.querySelectorAll('main img, main figure[role=img]')]
           .every(e => (e.alt || e.ariaLabel || '').length > 10)"""
    )


def test_thirteen_detectors_fit_in_five_megabytes(browser: Browser, large: Path):
    browser.media()
    browser.size(*DESKTOP)
    started = time.monotonic()
    browser.open(large)
    loaded = time.monotonic() - started
    paint = browser.run(
        "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    browser.screenshot(SHOTS / "large.png", whole=True)
    browser.size(*PHONE)
    browser.screenshot(SHOTS / "large_phone.png")
    megabytes = large.stat().st_size / 1e6
    print(f"{megabytes:.2f} MB, first paint {paint:.0f} ms, loaded {1000 * loaded:.0f} ms")
    assert megabytes < 5
    assert browser.run("return document.querySelectorAll('#heat-table tbody td').length") == 8 * 13

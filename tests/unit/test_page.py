"""The decision in words and data, and the page as a file: complete, safe, the same each time."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_results import (
    LIMITS,
    NO_RATE,
    PROMISE,
    RATES,
    made_metrics,
    write_cell,
    write_cost,
    write_images,
    write_page,
)
from PIL import Image
from specifications import specification

from defectbench.evaluation.averages import paired_differences, tidy_results
from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.decision import decide
from defectbench.evaluation.pixel_metrics import pixel_metrics
from defectbench.evaluation.promises import Asked, promise
from defectbench.images.index import IndexRow, write_index
from defectbench.records import HeldOutScores, Scores
from defectbench.reports import gallery, page
from defectbench.reports.decision_text import (
    category_verdict,
    consequence,
    decision_markdown,
    headline,
    reason,
    short_names,
)
from defectbench.reports.flags import flag_texts, point_flags, promised, warnings
from defectbench.reports.page import heat_table
from defectbench.reports.point_table import point_table
from defectbench.reports.published import NOTHING_PUBLISHED
from defectbench.storage import read_json, write_arrays, write_json

PLATE = [(f"test/good/{k}.png", 0, "good") for k in range(40)] + [
    (f"test/{defect}/{k}.png", 1, defect) for defect in ("dent", "scratch") for k in range(15)
]
INDEXES = {"plate": {path: IndexRow(path, "test", label, kind) for path, label, kind in PLATE}}


def scores_of(images: list, quality: float, seed: int = 0) -> np.ndarray:
    labels = np.array([label for _, label, _ in images])
    return np.random.default_rng(seed).normal(quality * labels, 1)


def held_out(count: int = 100) -> np.ndarray:
    return np.random.default_rng(9).normal(0, 1, count)


@pytest.fixture
def plate(tmp_path: Path) -> list[Path]:
    """A good and a poor detector on one category."""
    qualities = {"good": 3.0, "poor": 0.5}
    return [
        write_cell(
            tmp_path, "parts", "plate", (m, "net"), PLATE, scores_of(PLATE, q, 1), held_out()
        )
        for m, q in qualities.items()
    ]


def result(
    method: str,
    category: str,
    scores: np.ndarray,
    auroc: float,
    images: list = PLATE,
    milliseconds: float = 1.0,
) -> CellResults:
    """A cell with this AUROC, resampled with a spread of its own."""
    labels = np.array([label for _, label, _ in images])
    good, defective = map(int, np.bincount(labels, minlength=2))
    metrics = made_metrics(
        category,
        method,
        auroc,
        backbone="net",
        images={"train": 100, "calibration": 0, "test_good": good, "test_defective": defective},
        thresholds={"oracle": 0.5, "honest": 1.0},
        promise=PROMISE | {"threshold": 1.0},
    )
    noise = np.random.default_rng([ord(letter) for letter in method]).normal(0, 0.02, 500)
    return CellResults(
        metrics=metrics,
        test=Scores(
            [path for path, *_ in images],
            labels,
            np.array([defect for *_, defect in images]),
            np.full(len(labels), ""),
            scores,
        ),
        good=HeldOutScores([], np.full(100, ""), np.arange(100), held_out()),
        cost={
            "extract_ms_per_image": 1.0,
            "score_cpu_ms_per_image": milliseconds,
            "model_bytes": 1000,
        },
        maps=None,
        replicates={"image_auroc": auroc + noise},
    )


def decision_of(
    *cells: CellResults, costs: dict | None = None, defective_share: float | None = None
) -> dict:
    metrics = [cell.metrics for cell in cells]
    return decide(
        list(dict.fromkeys(cell.category for cell in cells)),
        cells,
        tidy_results(metrics, NOTHING_PUBLISHED.figures),
        paired_differences(cells),
        RATES,
        costs,
        defective_share,
        LIMITS,
    )


SCORES = scores_of(PLATE, 2.0)


def test_a_clear_winner_is_named_with_its_lead():
    decision = decision_of(result("a", "plate", SCORES, 0.95), result("b", "plate", SCORES, 0.80))
    assert headline(decision) == "a on net is the best."
    assert "AUROC 0.950, " in reason(decision)
    assert "b on net, by 0.150" in reason(decision)


def test_how_fast_a_detector_ran_does_not_decide():
    one, other = (
        decision_of(
            result("a", "plate", SCORES, 0.95, milliseconds=times[0]),
            result("b", "plate", SCORES, 0.94, milliseconds=times[1]),
        )
        for times in ((9.0, 2.0), (2.0, 9.0))
    )
    assert headline(one) == "No clear difference between a and b; a on net comes first."
    assert one == other


def test_many_equals_are_counted_first_and_named_second():
    decision = decision_of(*(result(name, "plate", SCORES, 0.95) for name in "abcd"))
    assert headline(decision) == "No clear difference between 4 detectors; a on net comes first."
    assert "but on these test images b, c and d cannot be told from it" in reason(decision)


def at_rate(cell: CellResults, escapes: float) -> CellResults:
    """The cell with such a share of defects that slip through at the rate asked for."""
    near = (escapes - 0.02, escapes + 0.02)
    cell.metrics["at_rate"] = NO_RATE | {"escape_rate": escapes, "escape_rate_interval": near}
    cell.replicates["escape_rate"] = escapes + cell.replicates["image_auroc"]
    return cell


def test_the_fewest_escapes_at_the_rate_asked_decide_and_not_the_auroc():
    decision = decision_of(
        at_rate(result("a", "plate", SCORES, 0.97), 0.814),
        at_rate(result("b", "plate", SCORES, 0.92), 0.396),
    )
    assert headline(decision) == "b on net is the best."
    assert reason(decision) == (
        "It lets the fewest defects slip through where good test parts set 5 % "
        "(396 (376–416) of 1,000 slip through; AUROC 0.920, 0.900–0.940), ahead of the next, "
        "a on net, by 418 of 1,000 (389 to 447) with 95 % confidence."
    )


def test_where_the_good_images_are_too_few_for_the_rate_the_auroc_decides_and_it_is_said():
    decision = decision_of(result("a", "plate", SCORES, 0.97), result("b", "plate", SCORES, 0.80))
    assert headline(decision) == "a on net is the best."
    assert reason(decision).endswith(
        "They are compared by AUROC: what slips through at 5 % takes 19 independent good test "
        "images to see, and plate has 18."
    )


def test_a_detector_that_breaks_its_promise_is_passed_over():
    cells = [at_rate(result(m, "plate", SCORES, 0.9), e) for m, e in (("a", 0.1), ("b", 0.4))]
    cells[0].metrics["flags"] = ["above"]
    decision = decision_of(*cells)
    assert decision["overall"]["recommended"] == "b net"
    answer = "b on net is the only one that keeps what its threshold promises."
    assert headline(decision) == answer
    assert reason(decision).endswith(
        "a cannot be taken: its own threshold rejects more good parts than was to be expected."
    )
    third = at_rate(result("c", "plate", SCORES, 0.8), 0.9)
    decision = decision_of(*cells, third)
    assert headline(decision) == "b on net is the best."
    assert decision["overall"]["tied"] == ["b net"]  # a, which is better, is no equal
    assert reason(decision).startswith(
        "Of the detectors that keep what their threshold promises, b on net lets the fewest"
    )
    cells[1].metrics["flags"] = ["above"]
    decision = decision_of(*cells)
    assert headline(decision) == "No detector can be recommended."
    assert "Each rejects more good parts than was to be expected, also the first" in reason(
        decision
    )


def test_the_figures_of_a_choice_are_told_of_images_that_did_not_make_it():
    cells = [result(m, "plate", scores_of(PLATE, 1.5, k), 0.9) for k, m in enumerate("abc")]
    decision = decision_of(*cells)
    nested = decision["overall"]["nested"]
    assert sum(nested["chosen"].values()) == 10
    told = f"about {1000 * nested['escape_rate']:.0f} of 1,000 defective parts slip through"
    assert told in consequence(decision)
    assert "These images chose it among 3 detectors, which may flatter it" in consequence(decision)
    assert decision_of(cells[0])["overall"]["nested"] is None


def test_in_a_category_without_a_clear_winner_the_best_overall_is_kept():
    decision = decision_of(
        result("a", "plate", SCORES, 0.99),
        result("b", "plate", SCORES, 0.80),
        result("a", "ring", SCORES, 0.90),
        result("b", "ring", SCORES, 0.91),
    )
    ring = decision["categories"][1]
    assert (ring["verdict"], ring["recommended"]) == ("tied", "a net")
    names = short_names(["a net", "b net"])
    assert category_verdict(ring, names) == "no clear difference to b"


def test_guessing_is_not_recommended():
    decision = decision_of(result("a", "plate", SCORES, 0.52))
    assert headline(decision) == "No detector can be recommended."
    assert "no better than guessing" in reason(decision)


def test_a_category_without_defects_has_no_verdict_and_spoils_no_other():
    good = PLATE[:40]
    blank = result("a", "blank", scores_of(good, 0), 0.9, images=good)
    blank.metrics["metrics"]["image_auroc"] = None
    blank.metrics["intervals"] = {}
    blank.metrics["reasons"] = {"image_auroc": "no defective test image"}
    blank.metrics["flags"] = ["few_defective"]
    blank.replicates.clear()
    decision = decision_of(blank, result("a", "plate", SCORES, 0.95))
    assert decision["categories"][0]["verdict"] == "none"
    assert decision["overall"]["verdict"] == "only"
    assert decision["overall"]["auroc"] == pytest.approx(0.95)
    assert (
        "On blank, there are fewer than 10 independent test images of a kind: go by the intervals."
        in warnings(decision)
    )
    verdict = category_verdict(decision["categories"][0], {})
    assert verdict == "cannot be judged: no defective test image"


def test_the_pooled_figures_are_those_of_all_test_images():
    decision = decision_of(
        result("a", "plate", SCORES, 0.95), result("a", "ring", SCORES - 1, 0.95)
    )
    cells = decision["cells"]
    escapes = sum(cell["honest"]["escapes"] for cell in cells)
    assert decision["overall"]["escape_rate"] == pytest.approx(escapes / 60)


def test_the_markdown_starts_with_the_answer_and_has_a_row_per_category():
    decision = decision_of(result("a", "plate", SCORES, 0.95), result("a", "r|ng", SCORES, 0.9))
    text = decision_markdown(decision)
    assert text.startswith("## Which detector, which threshold, what slips through\n\n**a on net")
    point = decision["cells"][0]["honest"]
    row = next(line for line in text.splitlines() if line.startswith("| plate"))
    assert f"{point['threshold']:.6g}" in row
    assert f"{1000 * point['escape_rate']:.0f} (" in row
    assert "| r\\|ng" in text


def test_an_operating_point_says_how_many_images_its_promise_needs():
    few = promise(np.arange(40.0), [""] * 40, Asked(0.01))
    assert point_flags(few | {"against_promise": "above"}) == [
        "1 % takes 99 held-out good images; a threshold above all 40 here would keep 2.4 % on "
        "average",
        "more false alarms than expected",
    ]
    enough = promise(np.arange(100.0), [""] * 100, Asked(0.01))
    assert point_flags(enough | {"against_promise": None}) == []


@pytest.mark.parametrize(
    ("images", "groups", "rule", "text"),
    [
        (59, 59, "average", "5 % on average (1.1–12 %)"),
        (118, 59, "average", "at most 5 % on average (1.1–12 %)"),
        (59, 59, "tolerance", "at most 5 %, in 95 of 100 cases"),
        (9, 9, "average", "an estimate: 10 % on average (0.28–34 %)"),
        (0, 0, "average", "–"),
    ],
)
def test_a_threshold_says_what_it_lets_expect(images: int, groups: int, rule: str, text: str):
    names = [f"part {k % groups}" for k in range(images)]
    assert promised(promise(np.arange(float(images)), names, Asked(0.05, rule))) == text


def test_every_flag_of_a_cell_has_words():
    point = promise(np.arange(9.0), [""] * 9, Asked(0.05)) | {"against_promise": "above"}
    flags = ["known", "above", "useless", "estimate", "few_good", "few_defective"]
    cell = {"flags": flags, "honest": point | {"false_alarm_rate": 0.425}}
    assert flag_texts(cell) == [
        "test images show parts that it was made with",
        "more false alarms than expected (0.28–34 % expected, 42.5 % seen)",
        "not clearly better than rejecting parts at random",
        "the threshold is an estimate: 5 % takes 19 held-out good images; a threshold above all 9 "
        "here would keep 10 % "
        "on average",
        "fewer than 10 independent good and defective test images",
    ]
    cell = {"flags": ["below"], "honest": cell["honest"] | {"against_promise": None}}
    assert flag_texts(cell) == [
        "fewer false alarms than expected: the threshold is stricter than needed with another seed"
    ]


def test_a_backbone_is_named_only_where_a_method_has_several():
    assert short_names(["a x", "b x"]) == {"a x": "a", "b x": "b"}
    assert short_names(["a x", "a y"]) == {"a x": "a on x", "a y": "a on y"}


def test_the_csv_has_every_operating_point_with_its_interval():
    costs = {"escape": 10, "false_alarm": 1}
    cell = result("a", "plate", SCORES, 0.95)
    decision = decision_of(cell, costs=costs, defective_share=0.1)
    table = point_table(decision, [cell])
    assert list(table["kind"]) == ["honest", *["asked"] * 2 * len(RATES), "costs"]
    chosen_by_defects = table["kind"] == "costs"
    assert table["found_rate_low"].isna().tolist() == chosen_by_defects.tolist()
    assert (table["found_rate_low"] <= table["found_rate"])[~chosen_by_defects].all()
    assert table["cost_per_1000"].notna().sum() == 1
    for row in table.itertuples():
        assert row.good_below == (held_out() < row.threshold).mean()


def test_the_best_and_its_equals_are_marked_in_the_heat_table():
    decision = decision_of(
        result("a", "plate", SCORES, 0.95),
        result("b", "plate", SCORES, 0.94),
        result("c", "plate", SCORES, 0.7),
    )
    row = heat_table(decision, ["a net", "b net", "c net", "d net"])["plate"]
    assert [cell and cell["mark"] for cell in row] == ["best", "tied", "", None]
    shades = [cell["shade"] for cell in row[:3]]
    assert shades == sorted(shades, reverse=True)


def test_a_page_is_the_same_bytes_again_fetches_nothing_and_runs_our_script_alone(
    tmp_path: Path, plate: list[Path]
):
    folder = write_images(tmp_path, "plate", [path for path, *_ in PLATE])
    first = {file.name: file.read_bytes() for file in pages(tmp_path, plate, [folder])}
    again = {file.name: file.read_bytes() for file in pages(tmp_path, plate, [folder])}
    # when and where stand apart, in the record of the run
    made = json.loads(first.pop("parts_run.json")), json.loads(again.pop("parts_run.json"))
    assert all({"command", "finished", "host", "machine"} < set(each) for each in made)
    endings = (".html", "_cost.md", ".json", "_operating_points.csv")
    assert {f"parts{ending}" for ending in endings} < set(first)
    assert first == again
    text = first["parts.html"].decode()
    addresses = set(re.findall(r"[a-z]+://[^\s\"'<>]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    sources = re.findall(r'(?:src|href)="([^"#][^"]*)"', text)
    assert all(s.startswith("data:") or re.fullmatch(r"parts(_[a-z_]+)?\.\w+", s) for s in sources)
    assert "default-src 'none'" in text
    assert text.count("<script") == 2
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", text)
    # no section, and no way to it, where there is nothing to show
    assert not re.search(r"[#\"](?:new|studies)\"", text)


def pages(root: Path, cells: list[Path], folders: list[Path]) -> list[Path]:
    reports = write_page(root, "parts", cells, folders).parent
    return sorted(file for file in reports.iterdir() if file.is_file())


def carried(text: str) -> str:
    """Data that a page carries."""
    return text.split('id="data">')[1].split("</script>")[0]


def test_data_in_a_script_element_cannot_end_it(tmp_path: Path):
    name = "<!--<script>&\u2028"
    cell = write_cell(tmp_path, "parts", name, ("a", "net"), PLATE, SCORES, held_out())
    data = carried(write_page(tmp_path, "parts", [cell], []).read_text())
    assert not set(data) & set("<>&\u2028")
    assert set(json.loads(data)["images"]) == {name}


GOOD, BAD = ("test/good/0.png", 0, "good"), ("test/dent/0.png", 1, "dent")


@pytest.mark.parametrize(
    ("images", "scores", "says"),
    [
        ([GOOD], [1.0], "no defective test image"),
        ([BAD], [1.0], "no good test image"),
        ([BAD, GOOD], [1.0, 2.0], "only 1 good test image"),
        (PLATE, [1.0] * len(PLATE), "No detector can be recommended"),
    ],
    ids=["one good", "one defective", "one of each", "equal scores"],
)
def test_what_allows_no_conclusion_has_a_page(
    tmp_path: Path, images: list, scores: list[float], says: str
):
    detector = ("a", "net")
    cell = write_cell(tmp_path, "parts", "one", detector, images, np.array(scores), np.ones(5))
    folder = write_images(tmp_path, "one", [path for path, *_ in images])
    text = write_page(tmp_path, "parts", [cell], [folder]).read_text()
    assert says in text
    assert not re.search(r"\b(nan|NaN|None|inf)\b", text)


def test_maps_masks_and_costs_are_shown_where_they_are(tmp_path: Path, plate: list[Path]):
    best = plate[0]
    write_cost(best, 4.0)
    rates = np.linspace(0, 1, 11).tolist()
    write_json(
        best / "pixel_metrics.json",
        {
            "metrics": pixel_metrics(None) | {"pixel_auroc": 0.9},
            "curve": {"false_positive_rate": rates, "overlap": np.sqrt(rates).tolist()},
            "intervals": {},
            "reason": "",
            "resolution": "original",
            "specification": specification(),
            "typical_level": 0.1,
            "pixel_threshold": 0.5,
        },
    )
    maps = np.random.default_rng(0).random((len(PLATE), 4, 4), np.float32)
    write_arrays(best / "maps.h5", {"test": maps}, {})
    folder = write_images(tmp_path, "plate", [path for path, *_ in PLATE])
    (folder / "masks").mkdir()
    Image.fromarray(np.eye(256) > 0).save(folder / "masks" / "mask.png")
    rows = [
        IndexRow(path, "test", label, defect, "masks/mask.png" * label, 256, 256, "RGB", "")
        for path, label, defect in PLATE
    ]
    index = tmp_path / "results" / "parts" / "plate" / "index.tsv"
    write_index(index, rows)
    file = write_page(tmp_path, "parts", plate, [folder])
    text = file.read_text()
    of_best = text.count('data-detector="good net" data-defect')
    of_other = text.count('data-detector="poor net" data-defect')
    examples = 2  # one found, one missed
    assert of_best > 4
    assert of_other > 0
    assert text.count('<figure class="picture panels') == of_best + examples
    assert text.count('<figure class="picture other"') == of_other  # without maps
    assert "PRO curve of good on plate" in text  # and not of the poor detector, without maps
    assert "AUROC against milliseconds per image: good 24, poor 21." in text
    assert text.count('<td>good</td><td class="number">0.900</td>') == 1  # pixel AUROC
    decided = read_json(file.with_name("parts.json"))["cells"][0]
    assert decided["pixel"]["pixel_auroc"] == 0.9


def test_the_image_that_sets_the_threshold_alone_is_named_and_shown(tmp_path: Path):
    held_out = np.linspace(0, 1, 30)
    held_out[17] = 9.0
    scores = np.array([8.0 * label for _, label, _ in PLATE])
    cell = write_cell(tmp_path, "parts", "plate", ("good", "net"), PLATE, scores, held_out)
    folder = write_images(tmp_path, "plate", [path for path, *_ in PLATE])
    Image.new("L", (60, 40)).save(folder / "17.png")
    file = write_page(tmp_path, "parts", [cell], [folder])
    section = file.read_text().split('<section id="set-by">')[1].split("</section>")[0]
    assert (
        "17.png, with the held-out score 9, looks like none of the others and sets the" in section
    )
    numbers = re.findall(r'<td class="number">([^<]*)</td>', section)
    assert numbers == ["9", "0 %", "0 %", "1", "100 %", "0 %"]
    assert section.count("<img") == 1
    report = file.with_name("parts_table.md").read_text()
    assert "**On plate, the threshold rests on training images that look like none of the" in report
    details = file.with_name("parts_details.md").read_text()
    assert re.search(r"17\.png +\| 1 +\| 9: 0 % / 0 % +\| 1: 100 % / 0 % ", details)


def test_notes_and_warnings_reach_the_page(tmp_path: Path, plate: list[Path]):
    notes = tmp_path / "results" / "parts" / "plate" / "notes.json"
    write_json(notes, ["3 images are <copies> of others"])
    check = plate[0] / "held_out_check.json"
    write_json(check, {"warnings": ["neighbours look alike; set groups"]})
    text = write_page(tmp_path, "parts", plate, []).read_text()
    assert "plate: 3 images are &lt;copies&gt; of others" in text
    assert "plate: good net: neighbours look alike; set groups" in text


def test_pictures_stay_within_their_budget_and_say_how_many_are_missing(tmp_path: Path):
    folder = write_images(tmp_path, "plate", [path for path, *_ in PLATE])
    cell = result("a", "plate", SCORES, 0.9)

    def drawn(folders: dict[str, Path], budget: int) -> tuple[list, int]:
        return gallery.Gallery(folders, INDEXES, {}, budget).of_chosen([cell])

    every, left_out = drawn({"plate": folder}, gallery.BUDGET)
    assert left_out == 0
    fewer, left_out = drawn({"plate": folder}, 3 * (len(every[0]["source"]) + gallery.CAPTION) + 10)
    assert fewer == every[:3]
    assert left_out == len(every) - 3
    assert drawn({}, gallery.BUDGET) == ([], len(every))


def test_the_first_pictures_are_of_what_is_found_and_of_what_is_missed(tmp_path: Path):
    folder = write_images(tmp_path, "plate", [path for path, *_ in PLATE])
    scores = np.where([label for _, label, _ in PLATE], 0.0, 0.5)
    scores[-3:] = 2.0, 3.0, 4.0  # of the threshold 1, three are found
    pictures = gallery.Gallery({"plate": folder}, INDEXES, {}, gallery.BUDGET)
    (shown,) = pictures.examples([result("a", "plate", scores, 0.9)]).values()
    assert [(each["verdict"], each["score"]) for each in shown] == [("found", 3.0), ("missed", 0.0)]


def test_other_detectors_show_their_mistakes_alone(tmp_path: Path):
    folder = write_images(tmp_path, "plate", [path for path, *_ in PLATE])
    pictures = gallery.Gallery({"plate": folder}, INDEXES, {}, gallery.BUDGET)
    shown = pictures.mistakes([result("a", "plate", SCORES, 0.9)])
    assert {each["verdict"] for each in shown} == {"missed", "false alarm"}
    assert {each["detector"] for each in shown} == {"a net"}


def localizing(method: str) -> CellResults:
    cell = result(method, "plate", SCORES, 0.9)
    return replace(
        cell, metrics=cell.metrics | {"pixels": {"pixel_threshold": 0.5}}, maps="maps.h5"
    )


def test_an_equal_lends_its_maps_to_a_detector_that_has_none():
    without, poor, equal = result("a", "plate", SCORES, 0.95), localizing("b"), localizing("c")
    cells = [without, poor, equal, result("d", "plate", SCORES, 0.9)]
    assert gallery.map_lender(without, ["a net", "d net", "c net"], cells) is equal
    assert gallery.map_lender(without, ["a net", "d net"], cells) is None  # b is clearly worse
    assert gallery.map_lender(equal, ["c net", "b net"], cells) is None  # it has its own


def test_a_score_says_how_many_good_parts_score_lower():
    cell = result("a", "plate", SCORES, 0.9)
    assert cell.share_of_good_below(-99.0) == 0
    assert cell.share_of_good_below(float(np.median(cell.good.scores))) == 0.5
    assert cell.share_of_good_below(99.0) == 1


def test_too_many_scores_leave_out_the_worst_detectors(
    tmp_path: Path, plate: list[Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(page, "MOST_SCORES", len(PLATE) + len(held_out()))
    text = write_page(tmp_path, "parts", plate, []).read_text()
    assert [entry["detector"] for entry in json.loads(carried(text))["scores"]] == ["good net"]
    assert "The scores of 1 detectors on a category are too many" in text


def test_what_is_rejected_on_a_line_is_said_where_its_share_of_defects_is_known():
    cell = result("a", "plate", SCORES, 0.95)
    line = decision_of(cell, defective_share=0.01)
    text = consequence(line)
    assert "Where 1 % of the parts are defective, " in text
    assert "of 1,000 parts are rejected, and of those " in text
    assert text.endswith(" are really defective.")
    assert line["cells"][0]["line"] == line["overall"]["line"]
    nobody_says = decision_of(cell)
    assert nobody_says["overall"]["line"] is None
    assert "Where" not in consequence(nobody_says)


def test_what_so_many_test_parts_can_show_is_counted_of_either_kind():
    decision = decision_of(result("a", "plate", SCORES, 0.95))
    parts = decision["cells"][0]["test_parts"]
    assert {kind: each["images"] for kind, each in parts.items()} == {
        "good": 40,
        "defective": 30,
    }

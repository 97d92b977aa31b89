"""The search: which set-ups it tries, what it drops, what it takes, and within which bounds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from defectbench.config.plan import METHOD_KEYS
from defectbench.errors import InputError
from defectbench.evaluation.choice import AUROC, ESCAPES, STABILITY, Merits
from defectbench.evaluation.promises import Asked, promise
from defectbench.features.devices import Machine
from defectbench.features.feature_file import Pass
from defectbench.images.index import IndexRow
from defectbench.records import HeldOutScores, Scores
from defectbench.reports import search_text
from defectbench.reports.search_figure import frontier, search_svg
from defectbench.scorers import scorer_class
from defectbench.search.budget import Budget, Trial, Tried
from defectbench.search.features import SearchedFeatures
from defectbench.search.halving import FEWEST, goes_on, halve, in_rank
from defectbench.search.limits import bytes_of, seconds_and_trials
from defectbench.search.merits import compared_by, pooled_merit, stability
from defectbench.search.outcome import least_that_is_as_good
from defectbench.search.parts import nested_parts
from defectbench.search.space import SetUp, set_ups, taps_of

LITE0 = ["efficientnet_lite0"]


def images(train: int = 0, good: int = 0, defective: int = 0, group: str = "") -> list[IndexRow]:
    kinds = [("train", 0)] * train + [("test", 0)] * good + [("test", 1)] * defective
    return [
        IndexRow(f"{k}.png", split, label, str(label), "", 8, 8, "L", f"{k:064}", group)
        for k, (split, label) in enumerate(kinds)
    ]


def set_up(name: str, scorer: str = "pca_fre", canvas: str = "keep256") -> SetUp:
    return SetUp(name, canvas, {}, {"scorer": scorer, "backbones": ["net"]})


def trial(merit: float, milliseconds: float = 1.0, seconds: float = 1.0, **other: Any) -> Trial:
    return Trial(merit, merit, milliseconds, 0.0, seconds, 10, **other)


# set-ups


def test_set_ups_are_entries_of_a_config():
    for each in set_ups([(576, 768)] * 4, LITE0):
        scorer = scorer_class(each.method["scorer"])
        assert set(each.parameters) <= set(scorer.parameter_schema)
        assert set(each.method) - set(each.parameters) <= METHOD_KEYS
        assert each.method["preprocessing"] == each.canvas


def canvases(height: int, width: int) -> list[str]:
    return list(dict.fromkeys(each.canvas for each in set_ups([(height, width)], LITE0)))


def test_canvases_follow_the_size_and_the_shape_of_the_images():
    assert canvases(576, 768) == [
        *("keep256", "squash256", "keep384", "squash384"),
        *("keep512", "squash512", "keep768", "squash768", "keep1024", "squash1024"),
    ]
    assert canvases(300, 300) == ["keep256", "keep384", "keep512"]  # 768 is more than 1.75 × 300
    assert canvases(64, 64) == ["keep256"]
    assert "squash512" not in canvases(900, 910)  # nearly square
    assert canvases(1334, 2000)[-1] == "tiles512"
    assert "tiles512" not in canvases(400, 2000)  # a tile is larger


def test_cheap_set_ups_come_first():
    sizes = [int(each.canvas.strip("kepsquah")) for each in set_ups([(900, 900)], LITE0)]
    assert sizes == sorted(sizes)


def test_one_pass_reads_everything_that_is_read_of_a_canvas():
    found = taps_of(set_ups([(100, 100)], LITE0))
    (entry,) = found.values()
    layers = {layer for layer, _ in entry["taps"]}
    assert layers == {"blocks.1", "blocks.2", "blocks.4", "global_pool"}


# parts of the images


def test_parts_hold_each_other_and_some_images_of_every_kind():
    index = images(train=400, good=90, defective=200)
    first, second, last = nested_parts(index, 7)
    assert set(first) < set(second) < set(last) == set(range(690))
    for part, counts in ((first, (44, 20, 22)), (second, (133, 30, 67))):
        kinds = [(index[row].split, index[row].label) for row in part]
        assert tuple(map(kinds.count, [("train", 0), ("test", 0), ("test", 1)])) == counts
    assert nested_parts(index, 7) == [first, second, last] != nested_parts(index, 8)


def test_few_images_have_fewer_parts():
    assert [len(part) for part in nested_parts(images(31, 14, 40), 1)] == [54, 85]
    assert [len(part) for part in nested_parts(images(20, 10, 20), 1)] == [50]


# halving

MANY = [set_up(f"s{k:02}", f"scorer{k % 3}") for k in range(30)]
PARTS = [range(10), range(30), range(90)]
CANVASES = (("small", 256**2), ("large", 512**2))


def merits_of(set_up: SetUp, number: int) -> Trial:
    """Those of higher numbers are better."""
    return trial(int(set_up.name[1:]) / 100)._replace(images=len(PARTS[number]))


def as_it_is(found: Trial, number: int, fold: int) -> Trial:
    return found


def test_a_third_goes_on_and_the_best_come_through():
    found = halve(MANY, PARTS, merits_of, Budget(1e6, None), as_it_is)
    assert [each.part for each in found.tried].count(1) == 20
    assert sorted(found.finalists[None]) == ["s24", "s25", "s26", "s27", "s28", "s29"]


def test_no_scorer_takes_all_first_places():
    tried = [Tried(each, 1, merits_of(each, 0)) for each in MANY]
    assert {each.method["scorer"] for each in goes_on(tried)[:3]} == {
        "scorer0",
        "scorer1",
        "scorer2",
    }


def test_of_equals_the_faster_one_comes_first():
    slow, fast = (Tried(set_up(n), 1, trial(0.9, ms)) for n, ms in (("a", 9.0), ("b", 2.0)))
    assert [each.set_up.name for each in in_rank([slow, fast])] == ["b", "a"]


def test_without_a_fold_other_set_ups_may_come_through_and_are_tried_too():
    def without(found: Trial, number: int, fold: int) -> Trial:
        return found._replace(merit=1 - found.merit) if fold == 1 else found

    found = halve(MANY, PARTS, merits_of, Budget(1e6, None), without, folds=2)
    assert found.finalists[0] == found.finalists[None]
    assert sorted(found.finalists[1]) == [f"s{k:02}" for k in range(FEWEST)]


def test_a_budget_of_trials_is_kept():
    tried: list[str] = []

    def counted(set_up: SetUp, number: int) -> Trial:
        tried.append(set_up.name)
        return merits_of(set_up, number)

    found = halve(MANY, PARTS, counted, Budget(None, 12), as_it_is)
    assert len(tried) == 12
    assert tried[:4] == [
        "s00",
        "s01",
        "s02",
        "s03",
    ]  # a third of it for each part, cheap ones first
    assert found.finalists[None]


def test_a_budget_of_seconds_is_kept_by_what_trials_took_before():
    budget = Budget(60.0, None)
    halve(MANY, PARTS, merits_of, budget, as_it_is)
    assert 30 < budget.spent <= 60


def test_a_budget_too_small_for_one_set_up_is_refused_with_what_would_do():
    with pytest.raises(InputError, match=r"20 s are too few: after \d+ s no .*; give it \d+ s"):
        halve(MANY, PARTS, lambda *_: trial(0.5, seconds=12.0), Budget(20.0, None), as_it_is)
    alone, both = (needed_seconds(Budget(20.0 * k, None, k)) for k in (1, 2))
    assert both == 2 * alone  # the settings' key is for all categories
    with pytest.raises(InputError, match=r"search\.budget: 1 trials are too few"):
        halve(MANY, PARTS, merits_of, Budget(None, 1), as_it_is)


def needed_seconds(budget: Budget) -> int:
    with pytest.raises(InputError) as refused:
        halve(MANY, PARTS, lambda *_: trial(0.5, seconds=12.0), budget, as_it_is)
    return int(str(refused.value).split("BUDGET=")[1].removesuffix("s"))


def test_a_larger_canvas_is_expected_to_take_longer():
    small, large = (set_up(name, "padim")._replace(pixels=pixels) for name, pixels in CANVASES)
    tried = {"small": Tried(small, 1, trial(0.5, seconds=17.0))}
    images = tried["small"].trial.images
    expected = Budget(100.0, None).expected(large, 0, images, False, tried)
    assert expected == pytest.approx(4 * 17)


def test_a_limit_that_nothing_meets_is_told():
    slow = trial(0.5, problem="90 ms from file to score, and MAX_MS is 10")
    with pytest.raises(InputError, match=r"no set-up can be used .*: 90 ms from file to score"):
        halve(MANY, PARTS, lambda *_: slow, Budget(1e6, None), as_it_is)


def test_after_each_part_it_is_told_who_goes_on():
    told: list[int] = []

    def after(goes_on: Sequence[SetUp]) -> None:
        told.append(len(goes_on))

    halve(MANY, PARTS, merits_of, Budget(1e6, None), as_it_is, 0, after)
    assert told == [10, 6]


@pytest.mark.parametrize(
    ("text", "budget"),
    [("10min", (600, None)), ("90s", (90, None)), ("1.5h", (5400, None)), ("40", (None, 40))],
)
def test_budgets_are_times_or_numbers_of_trials(text: str, budget: tuple):
    assert seconds_and_trials(text) == budget
    assert bytes_of("20GB") == 20e9


# what is compared


@pytest.mark.parametrize(
    ("kinds", "compared"),
    [
        ((100, 60, 60), (ESCAPES, ESCAPES)),
        ((31, 14, 40), (AUROC, ESCAPES)),  # 14 good test images are too few for 5 %, 45 are not
        ((4, 6, 40), (AUROC, AUROC)),
        ((100, 60, 0), (STABILITY, STABILITY)),
    ],
)
def test_what_is_compared_depends_on_how_many_images_there_are(kinds: tuple, compared: tuple):
    assert compared_by(images(*kinds), 0.05) == compared


def test_images_of_a_group_count_as_one():
    index = images(0, 60, 60) + images(100, group="a") + images(0, group="b")
    grouped = [row for row in index if row.split == "train"]
    assert compared_by([*images(0, 15, 60), *grouped], 0.05) == (AUROC, AUROC)


@pytest.mark.parametrize(("kinds", "which"), [((9, 20, 4), "defective"), ((9, 3, 20), "good")])
def test_fewer_than_five_test_images_of_a_kind_are_refused(kinds: tuple, which: str):
    with pytest.raises(InputError, match=f"needs 5 {which} test images, and there are"):
        compared_by(images(*kinds), 0.05)


def of_test(good: list[float], defective: list[float]) -> Scores:
    labels = np.repeat([0, 1], [len(good), len(defective)])
    names = [""] * len(labels)
    return Scores(names, labels, labels, np.array(names), np.array(good + defective))


def test_held_out_images_help_to_set_the_threshold():
    test = of_test([0.0] * 9, [1.0, 2.0, 3.0, 4.0])
    held_out = np.array([2.5, *[0.0] * 9])
    good = HeldOutScores([""] * 10, np.full(10, ""), np.arange(10), held_out)
    assert pooled_merit(test, good, ESCAPES, 0.05) == 0.5  # above the highest of 19
    assert pooled_merit(test, good, ESCAPES, 0.10) == 1.0  # one of 19 may lie above
    assert pooled_merit(test, good, AUROC, 0.05) == 1.0


def test_scores_without_outliers_are_more_stable():
    rng = np.random.default_rng(3)
    even = rng.normal(size=100)
    odd = np.append(even[:90], [9.0] * 10)
    assert stability(even, [""] * 100, 0.05) > stability(odd, [""] * 100, 0.05)
    assert stability(np.ones(50), [""] * 50, 0.05) < -1e6


def test_of_those_that_one_image_tells_apart_the_fastest_is_taken():
    merits = {
        "slow": Merits(1.0, 1.0, 90.0),
        "as_fast": Merits(0.975, 0.99, 21.0),
        "as_good": Merits(0.975, 0.98, 20.0),
        "worse": Merits(0.94, 0.99, 5.0),
        "breaks": Merits(1.0, 1.0, 1.0, breaks=True),
    }
    assert least_that_is_as_good(1 / 40)(merits) == "as_fast"
    assert least_that_is_as_good(1 / 400)(merits) == "slow"
    assert least_that_is_as_good(1 / 40)({"breaks": merits["breaks"]}) == "breaks"


def test_a_fast_set_up_whose_own_threshold_lets_more_through_is_not_taken():
    merits = {
        "good": Merits(1.0, 1.0, 75.0, found=1.0),
        "one_more": Merits(0.98, 0.99, 50.0, found=0.98),
        "fast": Merits(0.98, 0.99, 45.0, found=0.75),
    }
    assert least_that_is_as_good(1 / 40)(merits) == "one_more"


# features within a bound


def test_features_beyond_the_bound_are_refused_before_they_are_extracted(tmp_path: Path):
    index = images(train=100)
    found = taps_of(set_ups([(8, 8)], LITE0))
    passes = {
        key: Pass.of_entry(entry, str(tmp_path / "no.pth"), index) for key, entry in found.items()
    }
    machine, rows = Machine("cpu", "fp32", 1), [range(100)]
    features = SearchedFeatures(
        tmp_path / "features", tmp_path, index, rows, passes, {}, machine, None, 1e6
    )
    with pytest.raises(InputError, match=r"features of keep256/efficientnet_lite0 take 0\.\d GB"):
        features.file(next(iter(passes)), 0)
    assert not (tmp_path / "features").exists()


# what is told


def found_by_a_search(by: str = ESCAPES, best: str | None = "a") -> dict[str, Any]:
    promised = promise(np.arange(59.0), [""] * 59, Asked(0.05))
    rates = {"escape_rate": 0.1, "escape_rate_interval": [0.05, 0.2]}
    rates |= {"false_alarm_rate": 0.02, "false_alarm_rate_interval": [0.0, 0.1]}
    point = {**promised, **rates, "milliseconds": 40.0, "flags": []}
    row = {"canvas": "keep256", "detector": "pca_fre", "images": 99, "auroc": 0.95, "problem": ""}
    tried = [
        row | {"name": "a", "part": 2, "merit": 0.9, "milliseconds": 40.0},
        row | {"name": "b", "part": 2, "merit": 0.9, "milliseconds": 90.0},
        row | {"name": "e", "part": 2, "merit": 0.8, "milliseconds": 7.0},
        row | {"name": "c", "part": 1, "images": 50, "merit": 0.7, "milliseconds": 5.0},
        row | {"name": "d", "part": 1, "merit": 0.0, "milliseconds": 0.0, "problem": "too large"},
    ]
    return {
        "by": by,
        "by_part": by,
        "tried": tried,
        "finalists": {"a": point, "b": point},
        "best": best,
        "config": {
            "preprocessings": {"keep256": {"interpolation": "lanczos", "size": 256}},
            "methods": {"a": {"scorer": "pca_fre", "layers": ["x"], "preprocessing": "keep256"}},
        },
        "nested": None
        if by == STABILITY
        else {
            "escape_rate": 0.16,
            "false_alarm_rate": 0.05,
            "chosen": {"a x": 7, "c x": 1, "b x": 2},
        },
        "parts": [50, 99],
        "budget": "12 of 600 s",
        "set_ups": 9,
    }


def test_the_choice_is_told_with_what_to_expect_of_it():
    found = found_by_a_search()
    assert search_text.verdict(found) == (
        "a, 40 ms from file to score: at its own threshold 100 (50–200) of 1,000 defective parts "
        "slip through and 20 (0–100) of 1,000 good ones are rejected."
    )
    assert search_text.nested(found).startswith(
        "What to expect: of images that did not choose, about 160 of 1,000 defective parts slip "
        "through (on those that chose: 100) and 50 of 1,000 good parts are rejected (on those that "
        "chose: 20)."
    )
    assert search_text.nested(found).endswith(
        "would have taken without it: not always this one, but b 2 of 10 times and c 1 of 10 times."
    )
    assert search_text.how(found, 0.05).startswith(
        "5 of 9 set-ups were tried (12 of 600 s), 2 of them on all 99 images; the others were "
        "dropped after fewer (50); 1 could not be used. They are compared by what slips through"
    )


def test_without_defective_images_nothing_is_promised():
    found = found_by_a_search(STABILITY)
    assert search_text.verdict(found) == "a, 40 ms from file to score."
    assert search_text.nested(found) == ""
    assert "nothing is promised of what is found" in search_text.how(found, 0.05)


def test_a_search_that_finds_nothing_says_so():
    found = found_by_a_search(best=None)
    assert search_text.verdict(found).startswith("No set-up can be recommended")
    assert search_text.nested(found) == ""


def test_everything_that_was_tried_stands_in_a_table():
    tables = search_text.tables(found_by_a_search(), 0.05)
    assert [[row["name"] for row in table.entries] for table in tables] == [
        ["a", "b"],
        ["e"],
        ["c"],
        ["d"],
    ]
    columns = tables[0].columns
    first, second = tables[0].entries
    assert columns["slip through at 5 %, of 1,000"](first) == "100"
    assert [columns[""](row) for row in (first, second)] == ["taken", ""]


def test_the_winner_is_a_config_of_its_own():
    entry = {"source": "folder", "path": "/data", "studies": False, "methods": ["x"]}
    text = search_text.config_lines("parts", "the plate", entry, found_by_a_search(), "found.json")
    assert len(text.splitlines()) <= 10
    config = yaml.safe_load(text)
    assert config["datasets"]["parts_the_plate"] == {
        "source": "folder",
        "path": "/data",
        "methods": ["a"],
        "all_categories": ["the plate"],
        "chosen_by": "found.json",
    }
    assert config["methods"]["a"]["preprocessing"] in config["preprocessings"]


def test_the_frontier_holds_what_nothing_beats_in_both():
    points = [(5.0, 3.0), (1.0, 9.0), (6.0, 3.0), (2.0, 9.0), (9.0, 1.0)]
    assert frontier(points) == [(1.0, 9.0), (5.0, 3.0), (9.0, 1.0)]


@pytest.mark.parametrize("by", [ESCAPES, AUROC, STABILITY])
def test_the_figure_is_the_same_for_the_same_search(by: str):
    svg = search_svg(found_by_a_search(by), 0.05)
    assert svg == search_svg(found_by_a_search(by), 0.05)
    assert "none is faster and better" in svg

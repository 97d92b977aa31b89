"""Trials of set-ups on a category's images: fitted, scored, timed; none of it twice."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from defectbench import records
from defectbench.errors import InputError
from defectbench.evaluation.cells import CellResults, collect_cells
from defectbench.evaluation.choice import STABILITY
from defectbench.evaluation.covered import without_padding
from defectbench.evaluation.good_images import GoodImages, read_good_images
from defectbench.evaluation.held_out import folds, held_out, how_held_out, number_of_folds
from defectbench.evaluation.image_figures import image_figures
from defectbench.evaluation.image_metrics import image_auroc
from defectbench.evaluation.nested_choice import test_folds
from defectbench.evaluation.promises import Asked
from defectbench.evaluation.scoring import Scoring, fit_and_score
from defectbench.features.feature_file import Tap, open_layers
from defectbench.images.index import SPLITS, IndexRow
from defectbench.scorers import scorer_class
from defectbench.scorers.base import Scorer
from defectbench.scorers.largest_tile import of_features
from defectbench.scorers.layers import Features, number_of_images, take_images
from defectbench.search.budget import Trial
from defectbench.search.features import SearchedFeatures
from defectbench.search.merits import merits_of_part, of_test, pooled_merit, stability
from defectbench.search.space import SetUp
from defectbench.storage import read_json, write_json

TIMED = 9
"""Images that are timed one by one."""

FILES = {
    "metrics": "metrics.json",
    "scores": "scores.tsv",
    "held_out": "held_out_scores.tsv",
    "calibration": "calibration_scores.tsv",
    "costs": "cost.json",
    "replicates": "replicates.h5",
}
"""Of a set-up on all images, by the names of `cells.collect_cells`."""


class Settings(NamedTuple):
    """What trials depend on beside set-up and images.

    Attributes
    ----------
    category
        Its name.
    rate, rule
        Of the threshold; see `promises.Asked`.
    by_part, by
        What set-ups are compared by on parts of the images, and on all: `choice.ESCAPES`,
        `choice.AUROC` or `choice.STABILITY`.
    folds, seed
        As in the config.
    most_milliseconds
        That an image may take from file to score; None for no limit.
    """

    category: str
    rate: float
    rule: str
    by_part: str
    by: str
    folds: int | str
    seed: int
    most_milliseconds: float | None


class Trials:
    """Tries set-ups, and keeps what they gave in a folder where a later search finds it.

    Parameters
    ----------
    folder
        Of this search alone.
    index
        With groups, copies joined.
    parts
        From `parts.nested_parts`.
    features
        Of the same images.
    settings
        What else trials depend on.
    """

    def __init__(
        self,
        folder: Path,
        index: Sequence[IndexRow],
        parts: Sequence[Sequence[int]],
        features: SearchedFeatures,
        settings: Settings,
    ) -> None:
        self._folder, self._index, self._parts = folder, index, parts
        self._features, self._settings = features, settings
        test = [row for row, image in enumerate(index) if image.split == "test"]
        nothing = np.zeros(len(test))
        folds_of_test = test_folds(of_test([index[row] for row in test], nothing), settings.seed)
        self._fold_of = dict(zip(test, folds_of_test.tolist(), strict=True))

    def __call__(self, set_up: SetUp, number: int) -> Trial:
        """Try a set-up on a part of the images, or read what an earlier trial gave."""
        file = self._folder / set_up.name / f"part{number + 1}.json"
        if file.is_file():
            kept = read_json(file)
            trial = Trial(**kept | {"scores": tuple(kept["scores"])})
        else:
            try:
                trial = self._try(set_up, number, file.parent)
            except InputError as error:  # not kept: with other limits it may go well
                images = len(self._parts[number])
                return Trial(0.0, 0.0, 0.0, 0.0, 0.0, images, problem=str(error))
            write_json(file, trial._asdict())
        most = self._settings.most_milliseconds
        if most is None or trial.milliseconds <= most:
            return trial
        slow = f"{trial.milliseconds:.0f} ms from file to score, and MAX_MS is {most:g}"
        return trial._replace(problem=slow)

    def without(self, trial: Trial, number: int, fold: int) -> Trial:
        """A trial on a part of the images as it would be ranked without a fold's test images."""
        rows = [row for row in self._parts[number] if self._index[row].split == "test"]
        left = np.array([self._fold_of[row] != fold for row in rows])
        test = of_test(
            [self._index[row] for row, stays in zip(rows, left, strict=True) if stays],
            np.array(trial.scores)[left],
        )
        merit_, auroc = merits_of_part(test, self._settings.by_part, self._settings.rate)
        return trial._replace(merit=merit_, auroc=auroc)

    def cell(self, set_up: SetUp) -> CellResults:
        """Scores and figures of a set-up that was tried on all images."""
        folder = self._folder / set_up.name
        (found,) = collect_cells({name: [str(folder / file)] for name, file in FILES.items()})
        return found

    def _try(self, set_up: SetUp, number: int, folder: Path) -> Trial:
        start = time.perf_counter()
        key = set_up.canvas, set_up.backbone
        features, wanted = self._features.file(key, number), self._features.passes[key]
        extracted = time.perf_counter()
        rows = [self._index[row] for row in self._parts[number]]
        taps = [Tap(*tap) for tap in set_up.taps]
        with open_layers(features, wanted.name, [tap.name for tap in taps]) as (X, _):
            kind = scorer_class(set_up.method["scorer"])
            X = without_padding(X, rows, wanted.settings, kind)
            seed = {"seed": self._settings.seed} if kind.draws else {}
            scorer = of_features(kind(**set_up.parameters, **seed), X)
            if number == len(self._parts) - 1:
                *figures, scores = self._on_all(scorer, X, rows, set_up, folder)
            else:
                *figures, scores = self._on_some(scorer, X, rows)
            milliseconds = self._milliseconds(scorer, X, key)
        seconds = time.perf_counter() - extracted
        spent = extracted - start, seconds
        return Trial(*figures, milliseconds, *spent, len(rows), tuple(scores.tolist()))

    def _on_some(
        self, scorer: Scorer, X: Features, rows: Sequence[IndexRow]
    ) -> tuple[float, float, np.ndarray]:
        """Merit, AUROC and scores of a part's test images, fitted on its training images."""
        settings, train = self._settings, [row.split == "train" for row in rows]
        X_train = take_images(X, train)
        if settings.by == STABILITY:
            groups = [row.group for row in rows if row.split == "train"]
            split = folds(groups, number_of_folds(settings.folds, scorer, groups), settings.seed)
            scorer.fit_for_folds(X_train, split)
            scores = held_out(scorer, X_train, split)
            return stability(scores, groups, settings.rate), 0.0, np.empty(0)
        scorer.fit(X_train)
        test = [row for row in rows if row.split == "test"]
        scores = scorer.anomaly_score(take_images(X, [row.split == "test" for row in rows]))
        return *merits_of_part(of_test(test, scores), settings.by_part, settings.rate), scores

    def _on_all(
        self, scorer: Scorer, X: Features, rows: Sequence[IndexRow], set_up: SetUp, folder: Path
    ) -> tuple[float, float, np.ndarray]:
        """The same of all images; leaves scores, held-out ones and all figures of a benchmark."""
        settings = self._settings
        of_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
        X_train, X_calibration, X_test = (
            take_images(X, [row.split == split for row in rows]) for split in SPLITS
        )
        groups = [row.group for row in of_split["train"]]
        how = 0.0, settings.folds, settings.seed
        found = fit_and_score(scorer, X_train, X_test, X_calibration, groups, *how, None)
        scores, good = _write_cell(folder, found, scorer, of_split, set_up, settings)
        if settings.by == STABILITY:
            return stability(found.held_out, groups, settings.rate), 0.0, np.empty(0)
        own = pooled_merit(scores, good.setting, settings.by, settings.rate)
        return own, image_auroc(scores.labels, scores.scores), scores.scores

    def _milliseconds(self, scorer: Scorer, X: Features, key: tuple[str, str]) -> float:
        """From a file to its score, each image by itself."""
        seconds = []
        for row in range(min(TIMED, number_of_images(X))):
            one = take_images(X, np.array([row]))
            start = time.perf_counter()
            scorer.anomaly_score(one)
            seconds.append(time.perf_counter() - start)
        return self._features.milliseconds(key) + 1000 * float(np.median(seconds))


def _write_cell(
    folder: Path,
    found: Scoring,
    scorer: Scorer,
    of_split: Mapping[str, Sequence[IndexRow]],
    set_up: SetUp,
    settings: Settings,
) -> tuple[records.Scores, GoodImages]:
    """Leave `FILES` of a set-up on all images; its scores of test images and of good ones."""
    train, calibration, test = (of_split[split] for split in SPLITS)
    files = {name: folder / file for name, file in FILES.items()}
    folder.mkdir(parents=True, exist_ok=True)
    records.write_scores(files["scores"], test, found.scores)
    records.write_held_out(files["held_out"], train, found.folds, found.held_out)
    together = [np.arange(len(calibration))] if calibration else []
    records.write_held_out(files["calibration"], calibration, together, found.calibration)
    good = read_good_images(files["held_out"], files["calibration"])
    kept = how_held_out(set_up.method["scorer"], good.held_out.folds, good.held_out.groups)
    asked = Asked(settings.rate, settings.rule, kept)
    scores = records.read_scores(files["scores"])
    figures, replicates = image_figures(scores, good, asked, settings.seed, settings.category)
    names = {
        "category": settings.category,
        "method": set_up.name,
        "backbone": set_up.backbone,
        "seed": settings.seed,
    }
    records.write_specified(files["replicates"], replicates, {})
    write_json(files["metrics"], {**names, **figures})
    cost = {"extract_ms_per_image": None, "fit_cpu_seconds": found.fit_cpu_seconds}
    sizes = (array.nbytes for array in scorer.to_arrays().values())
    write_json(files["costs"], cost | {"model_bytes": sum(sizes)})
    return scores, good

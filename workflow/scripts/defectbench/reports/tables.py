"""Markdown reports: tables like the published ones, what stands behind them, the details."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

from defectbench.reports.results import AVERAGE, COUNTS, Metrics

MISSING = "–"
AGREEMENT = 0.005
ORACLE = (
    "*Oracle threshold*: the one with the largest F1 on the test images themselves. It is the "
    "published protocol and an upper bound: nobody can set it in advance."
)
HONEST = (
    "*Honest threshold*: set from defect-free training images alone, so that at most {rate:.1%} of "
    "them, each scored by a model that did not see it, are called defective. This is what a user "
    "gets."
)


class Report:
    """Renders the results of one dataset.

    Parameters
    ----------
    dataset
        Its name.
    categories
        All categories the dataset has, in order; those without results are marked.
    metrics
        Contents of the ``metrics.json`` files, in the order of the rows.
    results
        From `results.tidy_results`.
    differences
        From `results.paired_differences`.
    """

    def __init__(
        self,
        dataset: str,
        categories: Sequence[str],
        metrics: Metrics,
        results: pd.DataFrame,
        differences: pd.DataFrame,
    ) -> None:
        self.dataset = dataset
        self.categories = list(categories)
        self.metrics = metrics
        self.differences = differences
        self.detectors = list(dict.fromkeys((m["method"], m["backbone"]) for m in metrics))
        self.images = {entry["category"]: entry["images"] for entry in metrics}
        self._results = results.set_index(["metric", "method", "backbone", "category"]).sort_index()
        self._complete = len(self.images) == len(self.categories)

    def table(self) -> str:
        """The report people read: one table per metric, then what made it."""
        sections = [
            self._header(),
            self._ranking("image_auroc", "Image AUROC"),
            self._ranking("aupr", "Image AUPR"),
            self._thresholded("f1", "F1", trivial=True),
            self._thresholded("balanced_accuracy", "Balanced accuracy"),
            self._false_positive_rates(),
            self._confusions(),
            self._differences(),
            self._provenance(),
        ]
        return "\n\n".join(filter(None, sections)) + "\n"

    def details(self) -> str:
        """Per category: the defect types, and the images ranked worst."""
        sections = [
            f"# {self.dataset}: details",
            "AUROC: the defect type against the good test images. Found: share called defective "
            "at the honest threshold; for `good`, that is the false-positive rate.",
        ]
        for category in filter(self.images.__contains__, self.categories):
            entries = [entry for entry in self.metrics if entry["category"] == category]
            sections += [
                f"## {category}",
                _defect_table(entries),
                "### Worst-ranked images",
                "Wrong side of: share of the other class's images that the image is ranked "
                "wrongly against.",
                _worst_table(entries),
            ]
        return "\n\n".join(sections) + "\n"

    def _header(self) -> str:
        kinds = {"train": "train", "test_good": "test, good", "test_defective": "test, defective"}
        totals = {kind: sum(counts[kind] for counts in self.images.values()) for kind in kinds}
        rows = [
            [
                title,
                totals[kind],
                *(self.images[c][kind] if c in self.images else MISSING for c in self.categories),
            ]
            for kind, title in kinds.items()
        ]
        missing = [category for category in self.categories if category not in self.images]
        lines = [
            f"# {self.dataset}: image-level anomaly detection",
            "",
            f"{len(self.images)} of {len(self.categories)} categories; {totals['train']} "
            f"defect-free images to train, {totals['test_good']} good and "
            f"{totals['test_defective']} defective images to test "
            f"({totals['train']}/{totals['test_good']}/{totals['test_defective']}). "
            f"Defective is the positive class. Seed {_distinct(m['seed'] for m in self.metrics)}; "
            f"{self._versions()}, on {_distinct(map(_device, self.metrics))}.",
        ]
        if missing:
            lines += ["", f"{MISSING}: not in this run ({', '.join(missing)})."]
        return "\n".join([*lines, "", _markdown(["", "total", *self.categories], rows)])

    def _ranking(self, metric: str, title: str) -> str:
        rows = []
        for detector in self.detectors:
            found = self._figures(metric, detector)
            low, high = (found[name].map(_number) for name in ("low", "high"))
            intervals = [
                MISSING if a == MISSING else f"{a}–{b}" for a, b in zip(low, high, strict=True)
            ]
            rows.append([*detector, "measured", *self._averaged(found)])
            rows.append(["", "", "95 % interval", *intervals])
            rows += self._published_rows(found)
        return self._section(title, rows, self._agreement(metric))

    def _thresholded(self, figure: str, title: str, trivial: bool = False) -> str:
        rows = []
        if trivial:
            found = self._figures(f"trivial_{figure}", self.detectors[0])
            rows.append(["everything is defective", "", "no detector", *self._averaged(found)])
        for detector in self.detectors:
            oracle = self._figures(f"oracle_{figure}", detector)
            honest = self._figures(f"honest_{figure}", detector)
            rows.append([*detector, "honest threshold", *self._averaged(honest)])
            rows.append(["", "", "oracle threshold", *self._averaged(oracle)])
            rows += self._published_rows(oracle)
        rate = self.metrics[0]["false_positive_rate"]
        notes = [HONEST.format(rate=rate), ORACLE] if trivial else []
        agreement = self._agreement(f"oracle_{figure}")
        return self._section(title, rows, "\n\n".join([*notes, *filter(None, [agreement])]))

    def _false_positive_rates(self) -> str:
        rows = []
        for detector in self.detectors:
            found = self._figures("honest_false_positive_rate", detector)
            rows.append([*detector, "honest threshold", *self._averaged(found)])
        note = (
            f"Asked for: {self.metrics[0]['false_positive_rate']:.1%}. This is the share of the "
            "good test images that the honest threshold really calls defective."
        )
        return self._section("False-positive rate", rows, note)

    def _confusions(self) -> str:
        rows = []
        same = compared = 0
        for detector in self.detectors:
            for threshold in ("honest", "oracle"):
                figures = [self._figures(f"{threshold}_{count}", detector) for count in COUNTS]
                counts = pd.concat([figure["value"] for figure in figures], axis=1)[1:]
                name = detector if threshold == "honest" else ("", "")
                rows.append([*name, f"{threshold} threshold", *counts.apply(_counts, axis=1)])
            published = [figure["published"] for figure in figures[:2]]  # the oracle's, last seen
            if published[0].notna().any():
                of_class = [counts.iloc[:, i] + counts.iloc[:, j] for i, j in ((0, 2), (1, 3))]
                rest = [total - hits for total, hits in zip(of_class, published, strict=True)]
                theirs = pd.concat([*published, *rest], axis=1)[1:]
                rows.append(["", "", "published (oracle)", *theirs.apply(_counts, axis=1)])
                both = theirs.notna().all(axis=1) & counts.notna().all(axis=1)
                compared += int(both.sum())
                same += int((theirs[both].to_numpy() == counts[both].to_numpy()).all(axis=1).sum())
        note = "True positives / false positives / false negatives / true negatives."
        if compared:
            note += f" {same} of {compared} oracle matrices are identical to the published ones."
        header = ["method", "backbone", "figure", *self.categories]
        return f"## Confusion matrix\n\n{note}\n\n{_markdown(header, rows)}"

    def _differences(self) -> str:
        rows = []
        for (first, second), group in self.differences.groupby(["first", "second"], sort=False):
            found = group.set_index("category").reindex([AVERAGE, *self.categories])
            texts = [
                MISSING if low != low else f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
                for value, low, high in zip(
                    found["value"], found["low"], found["high"], strict=True
                )
            ]
            rows.append([first, second, *texts])
        if not rows:
            return ""
        header = ["first", "second", self._average_title(), *self.categories]
        note = (
            "First minus second, with the 95 % interval of the difference on the same resampled "
            "images. An interval that holds 0 shows no difference."
        )
        return f"## Differences in image AUROC\n\n{note}\n\n{_markdown(header, rows)}"

    def _provenance(self) -> str:
        digests = {m["category"]: m["provenance"]["dataset_sha256"] for m in self.metrics}
        methods = []
        for detector in self.detectors:
            made = self._entries(detector)[0]["provenance"]
            methods.append(
                [
                    *detector,
                    made["scorer"],
                    _compact(made["parameters"]),
                    made.get("layer", MISSING),
                    _compact(made.get("preprocessing", {})),
                    made.get("weights_sha256", MISSING)[:16],
                    _code(made),
                ]
            )
        header = [
            "method",
            "backbone",
            "scorer",
            "parameters",
            "layer",
            "images",
            "weights",
            "code",
        ]
        return "\n\n".join(
            [
                "## What made this",
                "95 % intervals: percentile bootstrap over the test images, good and defective "
                "ones resampled apart. Digests are the first 16 hexadecimal digits of SHA-256; "
                "code is images, features, scorer, evaluation.",
                _markdown(header, methods),
                _markdown(["category", "dataset"], digests.items()),
            ]
        )

    def _entries(self, detector: tuple[str, str]) -> list[Mapping[str, Any]]:
        return [entry for entry in self.metrics if (entry["method"], entry["backbone"]) == detector]

    def _figures(self, metric: str, detector: tuple[str, str]) -> pd.DataFrame:
        """Figures of one metric and detector: a row for the average, then one per category."""
        found = self._results.loc[(metric, *detector)].reindex([AVERAGE, *self.categories])
        if not self._complete:
            found.loc[AVERAGE, "published"] = float("nan")
        return found

    def _averaged(self, found: pd.DataFrame) -> list[str]:
        """Figures as text; an average over fewer categories than the run has says so."""
        texts = [_number(value) for value in found["value"]]
        over = found["categories"][AVERAGE]
        if over == over and over != len(self.images):
            texts[0] += f" (of {over:.0f})"
        return texts

    def _published_rows(self, found: pd.DataFrame) -> list[list[str]]:
        compared = found["published"].where(found["value"].notna())
        if compared.isna().all():
            return []
        difference = found["value"] - compared
        return [
            ["", "", "published", *map(_number, compared)],
            ["", "", "difference", *(_number(value, "+") for value in difference)],
        ]

    def _agreement(self, metric: str) -> str:
        found = pd.concat([self._figures(metric, detector)[1:] for detector in self.detectors])
        compared = found.dropna(subset=["value", "published"])
        if compared.empty:
            return ""
        near = (compared["value"] - compared["published"]).abs() <= AGREEMENT
        return (
            f"{near.sum()} of {len(compared)} cells agree with the published figure to "
            f"±{AGREEMENT}."
        )

    def _section(self, title: str, rows: list[list[str]], note: str) -> str:
        header = ["method", "backbone", "figure", self._average_title(), *self.categories]
        return "\n\n".join(filter(None, [f"## {title}", note, _markdown(header, rows)]))

    def _average_title(self) -> str:
        of_all = f" of {len(self.images)} of {len(self.categories)}"
        return AVERAGE + ("" if self._complete else of_all)

    def _versions(self) -> str:
        pairs = {pair for m in self.metrics for pair in m["provenance"]["versions"].items()}
        return ", ".join(f"{name} {version}" for name, version in sorted(pairs))


def _defect_table(entries: Metrics) -> str:
    rows = [
        [
            entry["method"],
            entry["backbone"],
            row["defect"],
            row["images"],
            _number(row["image_auroc"]),
            f"{row['called_defective']:.1%}",
        ]
        for entry in entries
        for row in entry["defects"]
    ]
    return _markdown(["method", "backbone", "defect", "images", "AUROC", "found"], rows)


def _worst_table(entries: Metrics) -> str:
    rows = [
        [
            entry["method"],
            entry["backbone"],
            row["path"],
            f"{row['anomaly_score']:.6g}",
            f"{row['rank_error']:.1%}",
        ]
        for entry in entries
        for row in entry["worst"]
    ]
    if not rows:
        return "None: every defective image ranks above every good one."
    return _markdown(["method", "backbone", "image", "anomaly score", "wrong side of"], rows)


def _number(value: float | None, sign: str = "") -> str:
    return MISSING if value is None or value != value else f"{value:{sign}.3f}"


def _counts(row: pd.Series) -> str:
    return MISSING if row.isna().any() else " / ".join(f"{count:.0f}" for count in row)


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True).strip("{}").replace('"', "") or MISSING


def _code(made: Mapping[str, Any]) -> str:
    stages = ("images", "features", "scorer", "evaluation")
    return " ".join(made[f"code_{stage}"] for stage in stages if f"code_{stage}" in made)


def _device(entry: Mapping[str, Any]) -> str:
    made = entry["provenance"]
    in_bf16 = made.get("precision") == "bf16"
    return made["device"] + (" in bf16" if in_bf16 else "")


def _distinct(values: Iterable[Any]) -> str:
    return ", ".join(sorted({str(value) for value in values}))


def _markdown(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)

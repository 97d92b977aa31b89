"""The page of a dataset: one file that carries its data, figures and pictures."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.cells import SEPARATOR, CellResults
from defectbench.evaluation.decision import cell_of
from defectbench.evaluation.image_metrics import precision_recall_curve, roc_curve
from defectbench.evaluation.prevalence import WANTED, parts_to_show
from defectbench.evaluation.promises import CALIBRATION
from defectbench.images.index import IndexRow
from defectbench.reports import decision_text, figures, flags, gallery, markdown, size_text
from defectbench.reports.cost_figures import cost_figures
from defectbench.reports.costs import with_costs
from defectbench.reports.histograms import histogram_figure, slider_data
from defectbench.reports.rendering import TEMPLATES, render
from defectbench.reports.speed_text import Speed
from defectbench.reports.verdicts import NewImages

MOST_SCORES = 60_000
"""Scores that a page carries for its slider; those of the best detectors first."""

MOST_BYTES = 4_900_000
"""Of a page; what its text, figures and scores leave of that, pictures may take."""

SCRIPTS = ("helpers.js", "intervals.js", "threshold.js", "page.js")


class Made(NamedTuple):
    """How to make a page again, and what may be done with what it shows.

    Attributes
    ----------
    command
        Of Snakemake, without the target.
    settings
        Those that decide the page, as YAML.
    licences
        Of ``data`` and ``weights``.
    exportable
        ``category/method/backbone`` of each detector that can be exported.
    """

    command: str
    settings: str
    licences: Mapping[str, str]
    exportable: Sequence[str]

    def detector_file(self, dataset: str, cell: CellResults) -> str:
        """Where a detector is exported to, the first seed's of several; empty if it cannot be."""
        own = cell.category, cell.metrics["method"], cell.metrics["backbone"]
        for name in self.exportable:
            category, method, backbone = name.split("/")
            if (category, method.partition(SEPARATOR)[0], backbone) == own:
                return f"results/{dataset}/{name}/detector.onnx"
        return ""


def render_page(
    dataset: str,
    categories: Sequence[str],
    cells: Sequence[CellResults],
    decision: Mapping[str, Any],
    folders: Mapping[str, Path],
    indexes: Mapping[str, Mapping[str, IndexRow]],
    notes: Mapping[str, Sequence[str]],
    new_images: Sequence[NewImages],
    links: Mapping[str, str],
    speed: Speed,
    made: Made,
    what_if: Mapping[str, Any] | None = None,
    search: Mapping[str, Any] | None = None,
) -> str:
    """The whole page as HTML text.

    Parameters
    ----------
    dataset
        Its name.
    categories
        All that it has, in order.
    cells
        Every detector on every category of the run.
    decision
        From `decision.decide`.
    folders
        Of the images of each category; empty where features were made elsewhere.
    indexes
        By category and path, the rows of its index.
    notes
        What was found worth knowing, by category.
    new_images
        Unlabelled ones, of each category that has some.
    links
        Title and relative address of the files beside the page.
    speed
        How long each detector takes.
    made
        How to make the page again.
    what_if
        From `studies.report.study_section`; None where the page shows no studies.
    search
        From `search_figure.search_section`; None where no search chose the detectors.
    """
    detectors = [entry["detector"] for entry in decision["detectors"]]
    look = figures.Look(decision_text.short_names(detectors))
    ranked = sorted(cells, key=lambda cell: detectors.index(cell.detector))
    wanted = {entry["category"]: entry["shown"] for entry in decision["categories"]}
    chosen = {cell.category: cell for cell in cells if cell.detector == wanted[cell.category]}
    costs = {entry["detector"]: entry for entry in with_costs(decision, cells, speed)}
    lenders = {
        entry["category"]: lender
        for entry in decision["categories"]
        if (lender := gallery.map_lender(chosen[entry["category"]], entry["tied"], cells))
    }
    carried = _with_scores(ranked)
    shown = {name: cell_of(decision, name, cell.detector) for name, cell in chosen.items()}
    set_by = [
        (name, shown[name], gallery.setting_pictures(cell, folders, indexes))
        for name, cell in chosen.items()
        if cell.metrics["set_by"]
    ]
    sized = [cell for cell in chosen.values() if cell.metrics["found_by_size"]]
    given = dict(
        dataset=dataset,
        categories=list(chosen),
        scope=markdown.scope_line(list(chosen), categories),
        detectors=detectors,
        labels=look.names,
        decision=decision,
        search=search,
        words=decision_text,
        flags=flags,
        cell_of=partial(cell_of, decision),
        wanted_rates=WANTED,
        parts_to_show=parts_to_show,
        chosen=chosen,
        ranking=figures.ranking_figure(decision["detectors"], look),
        heat=heat_table(decision, detectors),
        costs=costs,
        cost_figures=cost_figures(costs.values(), look),
        speed=speed,
        above_good=_above_good,
        curves=[_curves(f"c{place}", name, ranked, look) for place, name in enumerate(wanted)],
        has_pro=any(cell.pixels.get("curve") for cell in cells),
        located=[c for c in decision["cells"] if c["pixel"].get("pixel_auroc") is not None],
        histograms=[
            (cell, histogram_figure(f"h{place}", cell, look) if cell.test.paths else None)
            for place, cell in enumerate(chosen.values())
        ],
        defect_types=sorted({str(defect) for cell in cells for defect in cell.test.defects}),
        lenders=lenders,
        made=made,
        images=flags.threshold_images(cell["honest"] for cell in decision["cells"]),
        calibrated=[cell for cell in shown.values() if cell["honest"]["folds"] == CALIBRATION],
        reviewed=[cell for cell in shown.values() if cell["reviewed"]],
        set_by=set_by,
        sized=sized,
        sizes=size_text,
        without_scores=len(cells) - len(carried),
        # reversed, so that the first category of each detector counts
        specifications={c.detector: c.metrics["specification"] for c in reversed(cells)},
        digests={c.category: c.metrics["specification"]["dataset_sha256"] for c in cells},
        seed=cells[0].metrics["seed"],
        notes={name: notes[name] for name in chosen if notes.get(name)},
        new_images=new_images,
        links=links,
        what_if=what_if,
        data={
            "dataset": dataset,
            "names": look.names,
            "command": made.command,
            "shown": wanted,
            "images": {cell.category: _images(cell) for cell in carried},
            "scores": [
                slider_data(cell, cell_of(decision, cell.category, cell.detector))
                | {"file": made.detector_file(dataset, cell)}
                for cell in carried
            ],
        },
        **_assets(),
    )
    # pictures have the room that all else leaves
    bare = render("page.html", **given, examples={}, pictures=[], left_out=0)
    room = min(gallery.BUDGET, MOST_BYTES - len(bare.encode()))
    drawn = gallery.Gallery(folders, indexes, lenders, room)
    recommended = list(chosen.values())
    examples = drawn.examples(recommended)
    pictures, left_out = drawn.of_chosen(recommended)
    pictures += drawn.mistakes([cell for cell in carried if cell not in recommended])
    return render("page.html", **given, examples=examples, pictures=pictures, left_out=left_out)


def _above_good(cell: CellResults, score: float | None) -> str:
    return "" if score is None else markdown.above_good(cell.share_of_good_below(score))


def _assets() -> dict[str, str]:
    """Style and script that the page carries; it may run no other script than this."""
    style, *parts = (
        (TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", *SCRIPTS)
    )
    script = "".join(parts)
    digest = hashlib.sha256(script.encode()).digest()
    return {
        "style": Markup(style),
        "script": Markup(script),
        "script_hash": base64.b64encode(digest).decode(),
    }


def _with_scores(ranked: Sequence[CellResults]) -> list[CellResults]:
    """The first cells that have no more than `MOST_SCORES` scores together."""
    totals = accumulate(len(cell.test.paths) + len(cell.good.scores) for cell in ranked)
    return [cell for cell, total in zip(ranked, totals, strict=True) if total <= MOST_SCORES]


def _images(cell: CellResults) -> dict[str, Any]:
    """A category's test images for the slider; ``groups`` by number, None without any."""
    test = cell.test
    groups = group_numbers(test.groups).tolist() if (test.groups != "").any() else None
    return {
        "paths": test.paths,
        "labels": test.labels.tolist(),
        "groups": groups,
    }


def heat_table(
    decision: Mapping[str, Any], detectors: Sequence[str]
) -> dict[str, list[dict[str, Any] | None]]:
    """Categories down, detectors across: AUROC with its shade, the best and its equals marked.

    Returns
    -------
    dict of str to list
        By category, per detector its cell of the decision with ``shade`` (0 to 9) and ``mark``
        (``best``, ``tied`` or empty); None where it has no AUROC.
    """
    found = {(cell["category"], cell["detector"]): cell for cell in decision["cells"]}
    values = [cell["auroc"] for cell in decision["cells"] if cell["auroc"] is not None]
    floor = min([0.5, *values])
    rows: dict[str, list[dict[str, Any] | None]] = {}
    for entry in decision["categories"]:
        row = rows.setdefault(entry["category"], [])
        for detector in detectors:
            cell = found.get((entry["category"], detector))
            if cell is None or cell["auroc"] is None:
                row.append(None)
                continue
            shade = min(9, int(10 * (cell["auroc"] - floor) / max(1 - floor, 1e-9)))
            equal = "tied" if detector in entry["tied"] else ""
            mark = "best" if entry["tied"][0] == detector else equal
            row.append(cell | {"shade": shade, "mark": mark})
    return rows


def _curves(
    name: str, category: str, ranked: Sequence[CellResults], look: figures.Look
) -> dict[str, Any]:
    """A category's curves of all detectors; no figure where one class of images is missing."""
    own = [cell for cell in ranked if cell.category == category]
    roc = {c.detector: curve for c in own if (curve := roc_curve(c.test.labels, c.test.scores))}
    recall = {c.detector: precision_recall_curve(c.test.labels, c.test.scores) for c in own if roc}
    pro = {
        cell.detector: (curve["false_positive_rate"], curve["overlap"])
        for cell in own
        if (curve := cell.pixels.get("curve"))
    }
    return {
        "category": category,
        "panels": figures.curve_panels(name, category, roc, recall, pro, look) if roc else [],
        "legend": look.legend(roc),
        "images": own[0].metrics["images"],
    }

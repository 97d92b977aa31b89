"""The page of a dataset: one file that carries its data, figures and pictures."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from markupsafe import Markup

from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.decision import cell_of
from defectbench.evaluation.image_metrics import precision_recall_curve, roc_curve
from defectbench.evaluation.prevalence import WANTED, parts_to_show
from defectbench.evaluation.promises import CALIBRATION
from defectbench.images.index import IndexRow
from defectbench.reports import decision_text, figures, flags, size_text
from defectbench.reports.costs import with_costs
from defectbench.reports.markdown import scope_line
from defectbench.reports.pictures import gallery, setting_pictures
from defectbench.reports.rendering import TEMPLATES, render
from defectbench.reports.verdicts import NewImages

MOST_SCORES = 60_000
"""Scores that a page carries for its slider; those of the best detectors first."""


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
    costs = {entry["detector"]: entry for entry in with_costs(decision, cells)}
    pictures, left_out = gallery(list(chosen.values()), folders, indexes)
    shown = {name: cell_of(decision, name, cell.detector) for name, cell in chosen.items()}
    set_by = [
        (name, shown[name], setting_pictures(cell, folders, indexes))
        for name, cell in chosen.items()
        if cell.metrics["set_by"]
    ]
    sized = [cell for cell in chosen.values() if cell.metrics["found_by_size"]]
    carried = _with_scores(ranked)
    return render(
        "page.html",
        dataset=dataset,
        categories=list(chosen),
        scope=scope_line(list(chosen), categories),
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
        cost_figures=figures.cost_figures(costs.values(), look),
        curves=[_curves(f"c{place}", name, ranked, look) for place, name in enumerate(wanted)],
        has_pro=any(cell.pixels.get("curve") for cell in cells),
        located=[c for c in decision["cells"] if c["pixel"].get("pixel_auroc") is not None],
        histograms=[
            (cell, figures.histogram_figure(f"h{place}", cell, look) if cell.test.paths else None)
            for place, cell in enumerate(chosen.values())
        ],
        defect_types=sorted({str(defect) for cell in cells for defect in cell.test.defects}),
        pictures=pictures,
        images=flags.threshold_images(cell["honest"] for cell in decision["cells"]),
        calibrated=[cell for cell in shown.values() if cell["honest"]["folds"] == CALIBRATION],
        reviewed=[cell for cell in shown.values() if cell["reviewed"]],
        set_by=set_by,
        sized=sized,
        sizes=size_text,
        left_out=left_out,
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
            "decision": decision,
            **_images_and_scores(carried),
        },
        **_assets(),
    )


def _assets() -> dict[str, str]:
    """Style and script that the page carries; it may run no other script than this."""
    style, script = (
        (TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "page.js")
    )
    digest = hashlib.sha256(script.encode()).digest()
    return {
        "style": Markup(style),
        "script": Markup(script),
        "script_hash": base64.b64encode(digest).decode(),
    }


def _with_scores(ranked: Sequence[CellResults]) -> list[CellResults]:
    """The first cells that have no more than `MOST_SCORES` scores together."""
    totals = accumulate(len(cell.test.paths) for cell in ranked)
    return [cell for cell, total in zip(ranked, totals, strict=True) if total <= MOST_SCORES]


def _images_and_scores(cells: Sequence[CellResults]) -> dict[str, Any]:
    """Test images by category, and the scores of each cell, for the page's slider."""
    return {
        "images": {
            cell.category: {
                "paths": cell.test.paths,
                "labels": cell.test.labels.tolist(),
                "defects": cell.test.defects.tolist(),
            }
            for cell in cells
        },
        "scores": [
            {
                "category": cell.category,
                "detector": cell.detector,
                "scores": cell.test.scores.tolist(),
            }
            for cell in cells
        ],
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

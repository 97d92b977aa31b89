"""The page of a dataset: one file that carries its data, figures and pictures."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from defectbench.evaluation.decision import cell_of
from defectbench.evaluation.image_metrics import precision_recall_curve, roc_curve
from defectbench.images.index import IndexRow
from defectbench.reports import decision_text
from defectbench.reports.cells import CellResults
from defectbench.reports.costs import with_costs
from defectbench.reports.figures import (
    Look,
    cost_figures,
    curve_panels,
    histogram_figure,
    ranking_figure,
)
from defectbench.reports.markdown import scope_line
from defectbench.reports.pictures import gallery
from defectbench.reports.verdicts import NewImages

TEMPLATES = Path(__file__).parent / "templates"
MOST_SCORES = 60_000
"""Scores that a page carries for its slider; those of the best detectors first."""


def render_page(
    dataset: str,
    categories: Sequence[str],
    cells: Sequence[CellResults],
    decision: Mapping[str, Any],
    folders: Mapping[str, Path],
    masks: Mapping[str, Mapping[str, IndexRow]],
    notes: Mapping[str, Sequence[str]],
    new_images: Sequence[NewImages],
    links: Mapping[str, str],
    what_if: Mapping[str, Any] | None = None,
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
        From `choice.decide`.
    folders
        Of the images of each category; empty where features were made elsewhere.
    masks
        By category and path, the rows of its index that name a mask.
    notes
        What was found worth knowing, by category.
    new_images
        Unlabelled ones, of each category that has some.
    links
        Title and relative address of the files beside the page.
    what_if
        From `report.study_section`; None where the page shows no studies.
    """
    shown = [entry["category"] for entry in decision["categories"]]
    detectors = [entry["detector"] for entry in decision["detectors"]]
    names = decision_text.short_names(detectors)
    look = Look(names)
    chosen = [
        (_cell(cells, entry["category"], entry["shown"]), _threshold(decision, entry))
        for entry in decision["categories"]
    ]
    costs = with_costs(decision, cells)
    pictures, left_out = gallery(chosen, folders, masks)
    data, without_scores = _embedded(dataset, cells, decision)
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html").render(
        dataset=dataset,
        categories=shown,
        scope=scope_line(shown, categories),
        detectors=detectors,
        decision=decision,
        words=decision_text,
        labels=names,
        cell_of=lambda category, detector: cell_of(decision, category, detector),
        threshold_of=lambda category: next(at for cell, at in chosen if cell.category == category),
        heat=heat_table(decision, shown, detectors),
        ranking=ranking_figure(decision["detectors"], look),
        milliseconds=next(
            entry["milliseconds"]
            for entry in costs
            if entry["detector"] == decision["overall"]["shown"]
        ),
        milliseconds_of={cell.category: cell.milliseconds for cell, _ in chosen},
        costs=costs,
        cost_figures=cost_figures(costs, look),
        curves=[_curves(place, category, cells, look) for place, category in enumerate(shown)],
        located=[c for c in decision["cells"] if c["pixel"].get("pixel_auroc") is not None],
        has_pro=any(cell.pixels.get("curve") for cell in cells),
        defect_types=sorted({str(defect) for cell in cells for defect in cell.defects}),
        histograms=[_histogram(place, *pair) for place, pair in enumerate(chosen)],
        pictures=pictures,
        has_panels=any(picture["panels"] for picture in pictures),
        left_out=left_out,
        without_scores=without_scores,
        provenance=[_provenance(cells, detector) for detector in detectors],
        digests={c.category: c.metrics["provenance"].get("dataset_sha256", "–") for c in cells},
        seed=cells[0].metrics["seed"],
        notes={name: dict.fromkeys(notes[name]) for name in shown if notes.get(name)},
        cautions=_cautions(decision),
        new_images=new_images,
        links=links,
        what_if=what_if,
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=Markup(script_safe_json(data)),
    )


def script_safe_json(value: Any) -> str:
    """JSON that can stand in a script element: nothing in it ends the element or starts markup."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def heat_table(
    decision: Mapping[str, Any], categories: Sequence[str], detectors: Sequence[str]
) -> list[dict[str, Any]]:
    """Categories down, detectors across: AUROC, its interval and shade; the best and its equals.

    Returns
    -------
    list of dict
        ``category`` and ``cells``: per detector ``value``, ``low``, ``high``, ``shade`` (0 to 9),
        ``mark`` (``best``, ``tied`` or empty); None where it did not run.
    """
    found = {(cell["category"], cell["detector"]): cell for cell in decision["cells"]}
    values = [cell["auroc"] for cell in decision["cells"] if cell["auroc"] is not None]
    floor = min([0.5, *values])
    rows = []
    for entry in decision["categories"]:
        cells = []
        for detector in detectors:
            cell = found.get((entry["category"], detector))
            if cell is None or cell["auroc"] is None:
                cells.append(None)
                continue
            tied = detector in entry["tied"]
            low, high = cell["auroc_interval"]
            cells.append(
                {
                    "value": cell["auroc"],
                    "low": low,
                    "high": high,
                    "shade": min(9, int(10 * (cell["auroc"] - floor) / max(1 - floor, 1e-9))),
                    "mark": "best" if entry["tied"][0] == detector else "tied" * tied,
                }
            )
        rows.append({"category": entry["category"], "cells": cells})
    return [row for row in rows if row["category"] in categories]


def _cell(cells: Sequence[CellResults], category: str, detector: str) -> CellResults:
    return next(c for c in cells if (c.category, c.detector) == (category, detector))


def _threshold(decision: Mapping[str, Any], entry: Mapping[str, Any]) -> float | None:
    cell = cell_of(decision, entry["category"], entry["shown"])
    return cell["honest"]["threshold"]


def _curves(place: int, category: str, cells: Sequence[CellResults], look: Look) -> dict[str, Any]:
    """A category's curves of all detectors; no figure where one class of images is missing."""
    own = [cell for cell in cells if cell.category == category]
    own.sort(key=lambda cell: list(look.names).index(cell.detector))
    roc = {c.detector: curve for c in own if (curve := roc_curve(c.labels, c.scores))}
    recall = {c.detector: precision_recall_curve(c.labels, c.scores) for c in own if roc}
    pro = {
        cell.detector: (curve["false_positive_rate"], curve["overlap"])
        for cell in own
        if (curve := cell.pixels.get("curve"))
    }
    panels = curve_panels(f"c{place}", category, roc, recall, pro, look) if roc else []
    return {
        "category": category,
        "panels": panels,
        "legend": look.legend(roc),
        "images": own[0].metrics["images"],
    }


def _histogram(place: int, cell: CellResults, threshold: float | None) -> dict[str, Any]:
    figure = (
        histogram_figure(f"h{place}", cell.scores, cell.defects, cell.labels, threshold)
        if len(cell.scores)
        else ""
    )
    return {
        "category": cell.category,
        "detector": cell.detector,
        "threshold": threshold,
        "figure": figure,
        "defects": sorted(set(map(str, cell.defects[cell.labels == 1]))),
    }


def _embedded(
    dataset: str, cells: Sequence[CellResults], decision: Mapping[str, Any]
) -> tuple[dict[str, Any], int]:
    """Figures and scores that the page carries, and how many cells' scores were too many."""
    order = [entry["detector"] for entry in decision["detectors"]]
    images: dict[str, Any] = {}
    scores: list[dict[str, Any]] = []
    spent = left_out = 0
    for cell in sorted(cells, key=lambda cell: order.index(cell.detector)):
        spent += len(cell.scores)
        if spent > MOST_SCORES:
            left_out += 1
            continue
        images.setdefault(
            cell.category,
            {
                "paths": cell.paths,
                "labels": cell.labels.tolist(),
                "defects": cell.defects.tolist(),
            },
        )
        scores.append(
            {
                "category": cell.category,
                "detector": cell.detector,
                "scores": cell.scores.tolist(),
            }
        )
    names = decision_text.short_names(order)
    carried = {"dataset": dataset, "names": names, "decision": decision}
    return carried | {"images": images, "scores": scores}, left_out


def _provenance(cells: Sequence[CellResults], detector: str) -> dict[str, Any]:
    made = next(cell.metrics["provenance"] for cell in cells if cell.detector == detector)

    def words(value: Any) -> str:
        return json.dumps(value, sort_keys=True, ensure_ascii=False).strip("{}").replace('"', "")

    keys = ("scorer", "device", "precision")
    return {
        "detector": detector,
        **{key: str(made.get(key, "–")) for key in keys},
        "layers": ", ".join(made.get("layers", [])) or "–",
        "parameters": words(made.get("parameters", {})) or "–",
        "preprocessing": words(made.get("preprocessing", {})) or "–",
        "weights": made.get("weights_sha256", "–")[:16],
        "code": " ".join(str(made[key]) for key in sorted(made) if key.startswith("code_")),
        "versions": words(made.get("versions", {})),
    }


def _cautions(decision: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Each caution with where it holds."""
    found: dict[str, list[str]] = {}
    for cell in decision["cells"]:
        for caution in cell["cautions"]:
            places = found.setdefault(caution, [])
            if cell["category"] not in places:
                places.append(cell["category"])
    return list(found.items())

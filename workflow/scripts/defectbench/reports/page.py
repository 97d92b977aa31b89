"""The page of a dataset: one file that carries its data, figures and pictures."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.decision import cell_of
from defectbench.evaluation.image_metrics import precision_recall_curve, roc_curve
from defectbench.images.index import IndexRow
from defectbench.reports import decision_text, markdown
from defectbench.reports.costs import with_costs
from defectbench.reports.figures import (
    Look,
    cost_figures,
    curve_panels,
    histogram_figure,
    ranking_figure,
)
from defectbench.reports.flags import cautions, flag_texts, point_flags, warnings
from defectbench.reports.markdown import MISSING, compact, made_of, scope_line
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
        From `decision.decide`.
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
        From `studies.report.study_section`; None where the page shows no studies.
    """
    detectors = [entry["detector"] for entry in decision["detectors"]]
    look = Look(decision_text.short_names(detectors))
    wanted = {entry["category"]: entry["shown"] for entry in decision["categories"]}
    chosen = {cell.category: cell for cell in cells if cell.detector == wanted[cell.category]}
    costs = {entry["detector"]: entry for entry in with_costs(decision, cells)}
    pictures, left_out = gallery(list(chosen.values()), folders, masks)
    data, without_scores = _embedded(dataset, cells, decision, look.names)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html").render(
        dataset=dataset,
        categories=list(chosen),
        scope=scope_line(list(chosen), categories),
        detectors=detectors,
        labels=look.names,
        decision=decision,
        words=decision_text,
        fmt=markdown,
        warnings=warnings(decision),
        flag_texts=flag_texts,
        point_flags=point_flags,
        cell_of=partial(cell_of, decision),
        chosen=chosen,
        heat=heat_table(decision, detectors),
        milliseconds=costs[decision["overall"]["shown"]]["milliseconds"],
        costs=costs.values(),
        located=[c for c in decision["cells"] if c["pixel"].get("pixel_auroc") is not None],
        defect_types=sorted({str(defect) for cell in cells for defect in cell.test.defects}),
        pictures=pictures,
        left_out=left_out,
        without_scores=without_scores,
        made_of=[_made(cells, detector) for detector in detectors],
        digests={c.category: c.metrics["specification"]["dataset_sha256"] for c in cells},
        seed=cells[0].metrics["seed"],
        notes={name: notes[name] for name in chosen if notes.get(name)},
        cautions=cautions(decision["cells"]),
        new_images=new_images,
        links=links,
        what_if=what_if,
        **_drawings(decision, cells, chosen.values(), costs.values(), look),
        **_assets(data),
    )


def _drawings(
    decision: Mapping[str, Any],
    cells: Sequence[CellResults],
    chosen: Iterable[CellResults],
    costs: Iterable[Mapping[str, Any]],
    look: Look,
) -> dict[str, Any]:
    """All that is drawn from figures and scores, by its name in the template."""
    categories = [entry["category"] for entry in decision["categories"]]
    return {
        "ranking": ranking_figure(decision["detectors"], look),
        "cost_figures": cost_figures(costs, look),
        "curves": [_curves(*each, cells, look) for each in enumerate(categories)],
        "has_pro": any(cell.pixels.get("curve") for cell in cells),
        "histograms": [_histogram(*each) for each in enumerate(chosen)],
    }


def _assets(data: Mapping[str, Any]) -> dict[str, Any]:
    """Style, script and data that the page carries; it may run no other script than this."""
    style, script = (
        (TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "page.js")
    )
    return {
        "style": Markup(style),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "data": Markup(script_safe_json(data)),
    }


def script_safe_json(value: Any) -> str:
    """JSON for a script element, without the characters that could end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


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


def _curves(place: int, category: str, cells: Sequence[CellResults], look: Look) -> dict[str, Any]:
    """A category's curves of all detectors; no figure where one class of images is missing."""
    own = [cell for cell in cells if cell.category == category]
    own.sort(key=lambda cell: list(look.names).index(cell.detector))
    roc = {c.detector: curve for c in own if (curve := roc_curve(c.test.labels, c.test.scores))}
    recall = {c.detector: precision_recall_curve(c.test.labels, c.test.scores) for c in own if roc}
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


def _histogram(place: int, cell: CellResults) -> dict[str, Any]:
    test, threshold = cell.test, cell.threshold
    return {
        "category": cell.category,
        "detector": cell.detector,
        "threshold": threshold,
        "figure": histogram_figure(f"h{place}", test, threshold) if test.paths else "",
        "defects": sorted(set(map(str, test.defects[test.labels == 1]))),
    }


def _embedded(
    dataset: str,
    cells: Sequence[CellResults],
    decision: Mapping[str, Any],
    names: Mapping[str, str],
) -> tuple[dict[str, Any], int]:
    """Figures and scores that the page carries, and how many cells' scores were too many."""
    order = list(names)
    ranked = sorted(cells, key=lambda cell: order.index(cell.detector))
    totals = accumulate(len(cell.test.paths) for cell in ranked)
    kept = [cell for cell, total in zip(ranked, totals, strict=True) if total <= MOST_SCORES]
    images = {
        cell.category: {
            "paths": cell.test.paths,
            "labels": cell.test.labels.tolist(),
            "defects": cell.test.defects.tolist(),
        }
        for cell in kept
    }
    scores = [
        {
            "category": cell.category,
            "detector": cell.detector,
            "scores": cell.test.scores.tolist(),
        }
        for cell in kept
    ]
    carried = {"dataset": dataset, "names": names, "decision": decision}
    return carried | {"images": images, "scores": scores}, len(cells) - len(kept)


def _made(cells: Sequence[CellResults], detector: str) -> dict[str, Any]:
    """What made a detector's figures, in words."""
    made = next(cell.metrics["specification"] for cell in cells if cell.detector == detector)
    return {
        "detector": detector,
        **made_of(made),
        "device": made["device"] or MISSING,
        "precision": made["precision"] or MISSING,
        "code": " ".join(made["code"][stage] for stage in sorted(made["code"])),
        "versions": compact(made["versions"]),
    }

"""The report of the studies: answers in words, plots, tables, and the same figures tidy."""

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from defectbench.evaluation.robustness import CLEAN, HALVES, RESET
from defectbench.evaluation.thresholds import images_to_vouch_for
from defectbench.reports import markdown
from defectbench.reports.decision_words import short_names
from defectbench.reports.page_figures import Look
from defectbench.reports.study_answers import ANSWERS, POINT
from defectbench.reports.study_figures import study_svg
from defectbench.storage import read_json

QUESTIONS = {
    "training_size": "How many good parts must I photograph?",
    "contamination": "What if some of them were bad?",
    "robustness": "What happens when the pictures change?",
    "across": "What if the line changes its product?",
}
PLOTTED = ("training_size", "contamination", "robustness")
INTERVALS = (
    "Figures are means of the repeats. Their 95 % intervals hold for other test images and other "
    "draws of the training images: the variance of the first (the bootstrap's for AUROC, the "
    "binomial one for shares, groups kept whole) plus that of the mean of the repeats."
)
NOTES = {
    "training_size": (
        "Subsets are nested, groups are whole (images may then be more than was asked for), and "
        "the threshold is set from held-out images of the subset alone. No image was decoded and "
        f"no feature extracted for this. One point is {POINT:.2f} of AUROC."
    ),
    "contamination": (
        "Defective test images, drawn at random, are added to all good training images; the share "
        "is theirs of the sum. Where they are removed from the test set, those of the largest "
        "share are at every share, so that all shares are judged on the same images. The remedy, "
        "trimming, fits again without the share of the training images that score highest when "
        "held out, and sets the threshold from those that are left; whoever uses it does not know "
        "how many bad images there are, so the share that is trimmed is the same everywhere."
    ),
    "robustness": (
        "The detector and its threshold are those of the clean images; the test images change, "
        "at their original size, before they are resized. The remedy sets the threshold anew on "
        "changed good images: one half of the good test images for the other half."
    ),
    "across": (
        "Detector and threshold are those of one category, the test images another's. Reset: the "
        "threshold is set anew on one half of that category's good test images for the other half."
    ),
}


def read_studies(files: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Results by study, in the order of `QUESTIONS`; one per category and detector.

    Parameters
    ----------
    files
        Of all studies; one of robustness holds several methods.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in map(read_json, files):
        methods = entry.pop("methods", None) or {entry.pop("method"): {}}
        for method, own in methods.items():
            detector = f"{method} {entry['backbone']}"
            result = {**entry, **own, "method": method, "detector": detector}
            found.setdefault(entry["study"], []).append(result)
    return {study: found[study] for study in QUESTIONS if study in found}


def plots(studies: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """SVG by file name: one per study and category."""
    look = _look(studies)
    return {
        f"{study}_{category}.svg": study_svg(study, own, look)
        for study, results in studies.items()
        if study in PLOTTED
        for category, own in _by_category(results).items()
    }


def studies_report(dataset: str, studies: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The report as Markdown; its plots lie in the folder ``{dataset}_studies`` beside it."""
    names = _look(studies).names
    seed = next(iter(studies.values()))[0]["seed"]
    parts = [
        f"# {dataset}: what if?",
        f"Studies of what a line really meets. {INTERVALS} Seed {seed}. "
        f"The same figures and every interval, tidy: [CSV]({dataset}_studies.csv).",
    ]
    for study, results in studies.items():
        parts += [f"## {QUESTIONS[study]}", _bullets(ANSWERS[study](results, names)), NOTES[study]]
        for category, own in _by_category(results).items():
            plot = f"{dataset}_studies/{study}_{category}.svg"
            parts += [
                f"### {category}, {study.replace('_', ' ')}",
                _images_line(own[0]),
                f"![{study.replace('_', ' ')} of {category}]({plot.replace(' ', '%20')})"
                if study in PLOTTED
                else "",
                _tables(own, names),
            ]
    return markdown.paragraphs(*parts) + "\n"


def studies_section(studies: Mapping[str, Sequence[Mapping[str, Any]]], folder: Path) -> Markup:
    """The studies as HTML, safe to stand in a page: questions, answers, plots as data.

    Parameters
    ----------
    studies
        From `read_studies`.
    folder
        Where the plots lie.
    """
    names = _look(studies).names
    parts = []
    for study, results in studies.items():
        parts.append(Markup("<h3>{}</h3>").format(QUESTIONS[study]))
        items = (Markup("<li>{}</li>").format(line) for line in ANSWERS[study](results, names))
        parts.append(Markup("<ul>{}</ul>").format(Markup("").join(items)))
        for category in _by_category(results) if study in PLOTTED else ():
            svg = (folder / f"{study}_{category}.svg").read_bytes()
            words = f"{study.replace('_', ' ')} of {category}"
            image = '<img alt="{}" src="data:image/svg+xml;base64,{}">'
            parts.append(Markup(image).format(words, base64.b64encode(svg).decode()))
        parts.append(Markup("<p>{}</p>").format(NOTES[study]))
    return Markup("\n").join(parts)


def tidy_studies(studies: Mapping[str, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """A row per point: what was varied, the three figures with their intervals."""
    rows = []
    for study, results in studies.items():
        for result in results:
            for level in result["levels"]:
                rows.append(
                    {
                        "study": study,
                        **{key: result[key] for key in ("category", "method", "backbone")},
                        "perturbation": level.get("perturbation", ""),
                        "level": level["level"],
                        "variant": level.get("variant", ""),
                        "images": level["images"],
                        "repeats": len(level["repeats"]),
                        **_figures(level),
                        "reason": level["reason"],
                    }
                )
    return pd.DataFrame(rows)


def _figures(level: Mapping[str, Any]) -> dict[str, float | None]:
    figures = {}
    for name in ("image_auroc", "false_positive_rate", "recall"):
        low, high = level["intervals"].get(name, (None, None))
        figures |= {name: level[name], f"{name}_low": low, f"{name}_high": high}
    return figures


def _look(studies: Mapping[str, Sequence[Mapping[str, Any]]]) -> Look:
    detectors = [result["detector"] for results in studies.values() for result in results]
    return Look(short_names(list(dict.fromkeys(detectors))))


def _by_category(
    results: Sequence[Mapping[str, Any]],
) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        found.setdefault(result["category"], []).append(result)
    return found


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _images_line(result: Mapping[str, Any]) -> str:
    counts, rate = result["images"], result["false_positive_rate"]
    line = (
        f"{counts['train']} defect-free images to train, {counts['test_good']} good and "
        f"{counts['test_defective']} defective ones to test."
    )
    half, needed = counts["test_good"] // HALVES, images_to_vouch_for(rate)
    if result["study"] == "robustness" and needed and half < needed:
        line += (
            f" A threshold set anew rests on {half} good images, too few to carry {rate:.0%}: that "
            f"takes {needed}."
        )
    return line


def _tables(results: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """AUROC with intervals; then false alarms and share found; why points are missing."""
    found = {
        names[result["detector"]]: {_place(level): level for level in result["levels"]}
        for result in results
    }
    # clean images first; a ranking is the same with another threshold
    places = sorted(next(iter(found.values())), key=lambda place: not place.startswith(CLEAN))
    rankings = [place for place in places if not place.endswith(RESET)]
    missing = {level["reason"]: None for own in found.values() for level in own.values()}
    reasons = "; ".join(filter(None, missing))
    return markdown.paragraphs(
        "AUROC:",
        _grid(rankings, found, _auroc),
        "False alarms / share found, at the honest threshold:",
        _grid(places, found, _shares),
        f"{markdown.MISSING}: {reasons}." if reasons else "",
    )


def _grid(
    places: Sequence[str],
    found: Mapping[str, Mapping[str, Mapping[str, Any]]],
    text: Callable[[Mapping[str, Any]], str],
) -> str:
    """A table of points by detector; with the images that there were, where more were asked for."""
    titles = []
    for place in places:
        measured = [own[place] for own in found.values() if not own[place]["reason"]]
        asked = measured[0]["level"] if measured and "variant" not in measured[0] else "all"
        more = asked != "all" and measured[0]["images"] != asked
        titles.append(f"{place}, {measured[0]['images']:.0f} on average" if more else place)
    columns = {name: [text(own[place]) for place in places] for name, own in found.items()}
    return markdown.grid(titles, columns)


def _place(level: Mapping[str, Any]) -> str:
    """What a point is called."""
    value = level["level"]
    if "perturbation" in level:
        severity = "" if level["perturbation"] == CLEAN else f" {value:g}"
        return f"{level['perturbation']}{severity}, {level['variant']}"
    if isinstance(value, str) and "variant" in level:
        return f"{value}, {level['variant']}"
    return f"{value:.0%}, {level['variant']}" if "variant" in level else f"{value} images"


def _auroc(level: Mapping[str, Any]) -> str:
    if level["reason"]:
        return markdown.MISSING
    low, high = level["intervals"]["image_auroc"]
    return f"{level['image_auroc']:.3f} ({low:.3f}–{high:.3f})"


def _shares(level: Mapping[str, Any]) -> str:
    if level["reason"]:
        return markdown.MISSING
    return f"{level['false_positive_rate']:.1%} / {level['recall']:.1%}"

"""The report of the studies: answers in words, plots, tables, and the same figures tidy."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from defectbench.reports import markdown
from defectbench.reports.decision_text import short_names
from defectbench.reports.figures import Look
from defectbench.reports.markdown import scope_line
from defectbench.storage import read_json
from defectbench.studies.answers import ANSWERS, POINT
from defectbench.studies.figures import study_drawing, study_svg
from defectbench.studies.tables import images_line, missing_points, study_tables

QUESTIONS = {
    "training_size": "How many good parts must I photograph?",
    "contamination": "What if some of them were bad?",
    "robustness": "What happens when the pictures change?",
    "across": "What if the line changes its product or its camera?",
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
        "Detector and threshold are those of one category, or of some groups of its images; the "
        "test images are of another, or of other groups. Reset: the threshold is set anew on one "
        "half of those good test images for the other half."
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


def plot_name(study: str, category: str) -> str:
    """File of a plot, in the folder of the dataset's plots."""
    return f"{study}_{category}.svg"


def plots(studies: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """SVG by file name: one per study and category."""
    look = look_of(studies)
    return {
        plot_name(study, category): study_svg(study, own, look)
        for study, results in studies.items()
        if study in PLOTTED
        for category, own in by_category(results).items()
    }


def studies_report(
    dataset: str,
    categories: Sequence[str],
    studies: Mapping[str, Sequence[Mapping[str, Any]]],
) -> str:
    """The report as Markdown; its plots lie in the folder ``{dataset}_studies`` beside it.

    Parameters
    ----------
    dataset, categories
        Its name and all its categories.
    studies
        From `read_studies`.
    """
    studied = {result["category"] for results in studies.values() for result in results}
    names = look_of(studies).names
    seed = next(iter(studies.values()))[0]["seed"]
    parts = [
        f"# {dataset}: what if?",
        scope_line([name for name in categories if name in studied], categories),
        f"Studies of what a line really meets. {INTERVALS} Seed {seed}. "
        f"The same figures and every interval, tidy: [CSV]({dataset}_studies.csv).",
    ]
    for study, results in studies.items():
        parts += [f"## {QUESTIONS[study]}", _bullets(ANSWERS[study](results, names)), NOTES[study]]
        for category, own in by_category(results).items():
            plot = f"{dataset}_studies/{plot_name(study, category)}"
            parts += [
                f"### {category}, {study.replace('_', ' ')}",
                images_line(own[0]),
                f"![{study.replace('_', ' ')} of {category}]({plot.replace(' ', '%20')})"
                if study in PLOTTED
                else "",
                *_tables(own, names),
                missing_points(own),
            ]
    return markdown.paragraphs(*parts) + "\n"


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
                        "train": level.get("train", ""),
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


def look_of(studies: Mapping[str, Sequence[Mapping[str, Any]]]) -> Look:
    """Names, colours and markers of the detectors, the same in all studies."""
    detectors = [result["detector"] for results in studies.values() for result in results]
    return Look(short_names(list(dict.fromkeys(detectors))))


def by_category(
    results: Sequence[Mapping[str, Any]],
) -> dict[str, list[Mapping[str, Any]]]:
    """Results of each category, in order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        found.setdefault(result["category"], []).append(result)
    return found


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _tables(results: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Iterator[str]:
    for table in study_tables(results):
        yield f"{table.title}:"
        columns = {names[detector]: texts for detector, texts in table.texts.items()}
        yield markdown.grid(table.points, columns)


BUDGET = 1_000_000
"""Characters of all plots of a page's studies; the others are linked to."""


def study_section(
    dataset: str, studies: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """What the template `trial.html` shows.

    Parameters
    ----------
    dataset
        Its name.
    studies
        From `trial.read_studies`.

    Returns
    -------
    dict
        ``names`` of the detectors, ``intervals``: what they are, ``studies``: of each ``title``,
        ``question``, ``answers``, ``note``, and ``categories``: of each ``name``, ``images``,
        ``tables``, ``missing``, ``drawing`` (None where there is no plot, or no room for it) and
        ``plot`` (relative address of its file, empty for none).
    """
    look = look_of(studies)
    section, left = [], BUDGET
    for study, results in studies.items():
        categories = []
        for name, own in by_category(results).items():
            drawing = None
            if study in PLOTTED and left > 0:
                drawing = study_drawing(study, own, look, f"{study}{len(categories)}")
                left -= len(drawing)
            plot = f"{dataset}_studies/{plot_name(study, name)}" if study in PLOTTED else ""
            categories.append(
                {
                    "name": name,
                    "images": images_line(own[0]),
                    "drawing": drawing,
                    "plot": plot,
                    "tables": study_tables(own),
                    "missing": missing_points(own),
                }
            )
        section.append(
            {
                "title": study.replace("_", " "),
                "question": QUESTIONS[study],
                "answers": ANSWERS[study](results, look.names),
                "note": NOTES[study],
                "categories": categories,
            }
        )
    return {"names": look.names, "intervals": INTERVALS, "studies": section}

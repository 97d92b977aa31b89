"""The report of the studies and the section of a page: answers in words, plots, tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from defectbench.reports import markdown
from defectbench.reports.decision_text import short_names
from defectbench.reports.figures import Look
from defectbench.reports.markdown import scope_line
from defectbench.studies.answers import ANSWERS, POINT
from defectbench.studies.figures import PLOTTED, study_drawing, study_svg
from defectbench.studies.results import Result, by_category
from defectbench.studies.tables import images_line, missing_points, study_tables

QUESTIONS = {
    "training_size": "How many good parts must I photograph?",
    "contamination": "What if some of them were bad?",
    "robustness": "What happens when the pictures change?",
    "across": "What if the line changes its product or its camera?",
}
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
BUDGET = 1_000_000
"""Characters of all plots of a page's studies; the others are linked to."""

Studies = Mapping[str, Sequence[Result]]


def plots(studies: Studies) -> dict[str, str]:
    """SVG by file name: one per study and category."""
    look = _look(studies)
    return {
        _plot_name(study, category): study_svg(study, own, look)
        for study, results in studies.items()
        if study in PLOTTED
        for category, own in by_category(results).items()
    }


def studies_report(dataset: str, categories: Sequence[str], studies: Studies) -> str:
    """The report as Markdown; its plots lie in the folder ``{dataset}_studies`` beside it.

    Parameters
    ----------
    dataset, categories
        Its name and all its categories.
    studies
        Results by study.
    """
    studied = {result["category"] for results in studies.values() for result in results}
    names = _look(studies).names
    seed = next(iter(studies.values()))[0]["seed"]
    parts = [
        f"# {dataset}: what if?",
        scope_line([name for name in categories if name in studied], categories),
        f"Studies of what a line really meets. {INTERVALS} Seed {seed}. "
        f"The same figures and every interval, tidy: [CSV]({dataset}_studies.csv).",
    ]
    for study in _sections(dataset, studies, names):
        title, answers = study["title"], "\n".join(f"- {line}" for line in study["answers"])
        parts += [f"## {study['question']}", answers, study["note"]]
        for category in study["categories"]:
            name, plot = category["name"], category["plot"].replace(" ", "%20")
            parts += [
                f"### {name}, {title}",
                category["images"],
                f"![{title} of {name}]({plot})" if plot else "",
            ]
            for table in category["tables"]:
                columns = {names[detector]: texts for detector, texts in table.texts.items()}
                parts += [f"{table.title}:", markdown.grid(table.points, columns)]
            parts.append(category["missing"])
    return markdown.paragraphs(*parts) + "\n"


def study_section(dataset: str, studies: Studies) -> dict[str, Any]:
    """What the template `studies.html` shows.

    Parameters
    ----------
    dataset
        Its name.
    studies
        Results by study.

    Returns
    -------
    dict
        ``names`` of the detectors, ``intervals``: what they are, ``studies``: of each ``title``,
        ``question``, ``answers``, ``note``, and ``categories``: of each ``name``, ``images``,
        ``tables``, ``missing``, ``drawing`` (None where there is no plot, or no room for it) and
        ``plot`` (relative address of its file, empty for none).
    """
    look = _look(studies)
    sections, left = [], BUDGET
    for section in _sections(dataset, studies, look.names):
        for place, category in enumerate(section["categories"]):
            drawing = None
            if category["plot"] and left > 0:
                own, name = category["results"], f"{section['study']}{place}"
                drawing = study_drawing(section["study"], own, look, name)
                left -= len(drawing)
            category["drawing"] = drawing
        sections.append(section)
    return {"names": look.names, "intervals": INTERVALS, "studies": sections}


def _sections(dataset: str, studies: Studies, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """What report and page both say of each study."""
    for study, results in studies.items():
        categories = []
        for category, own in by_category(results).items():
            plot = f"{dataset}_studies/{_plot_name(study, category)}" if study in PLOTTED else ""
            categories.append(
                {
                    "name": category,
                    "results": own,
                    "images": images_line(own[0]),
                    "plot": plot,
                    "tables": study_tables(own),
                    "missing": missing_points(own),
                }
            )
        yield {
            "study": study,
            "title": study.replace("_", " "),
            "question": QUESTIONS[study],
            "answers": ANSWERS[study](results, names),
            "note": NOTES[study],
            "categories": categories,
        }


def _plot_name(study: str, category: str) -> str:
    """File of a plot, in the folder of the dataset's plots."""
    return f"{study}_{category}.svg"


def _look(studies: Studies) -> Look:
    """Names, colours and markers of the detectors, the same in all studies."""
    detectors = [result["detector"] for results in studies.values() for result in results]
    return Look(short_names(list(dict.fromkeys(detectors))))

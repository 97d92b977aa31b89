"""What a reader must know before believing the figures: small samples, odd images."""

from collections.abc import Iterable

from defectbench.reports import markdown
from defectbench.reports.flags import legend
from defectbench.reports.markdown import MISSING
from defectbench.reports.results import Results


def cautions(results: Results) -> str:
    """Marks and their meaning, and what the number of images does not allow to conclude."""
    entries = results.metrics
    found = ((text, entry["category"]) for entry in entries for text in entry["cautions"])
    lines = [f"- {', '.join(where)}: {text}." for text, where in _by_text(found).items()]
    body = "\n".join(filter(None, [legend(results), *lines]))
    return markdown.paragraphs("## Cautions", body) if body else ""


def notes(results: Results) -> str:
    """What was noticed in the images of each category."""
    lines = [
        f"- {category}: {note}"
        for category in results.categories
        for note in dict.fromkeys(results.notes.get(category, ()))
    ]
    if not lines:
        return ""
    return markdown.paragraphs("## Worth knowing about the images", "\n".join(lines))


def missing_figures(results: Results, *metrics: str) -> str:
    """Why figures of these metrics are a dash: one line, or none."""
    found = results.tidy[results.tidy["metric"].isin(metrics)].dropna(subset="reason")
    pairs = zip(found["reason"], found["category"], strict=True)
    reasons = [f"{', '.join(where)}: {text}" for text, where in _by_text(pairs).items()]
    return f"{MISSING}: {'; '.join(reasons)}." if reasons else ""


def _by_text(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Categories that share a text, each once."""
    found: dict[str, dict[str, None]] = {}
    for text, category in pairs:
        found.setdefault(text, {})[category] = None
    return {text: list(categories) for text, categories in found.items()}

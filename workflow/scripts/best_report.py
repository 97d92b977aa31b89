"""Rule `best_report`: what the searches of a dataset tried and found."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.reports import search_text
from defectbench.reports.rendering import render
from defectbench.reports.search_figure import search_svg
from defectbench.storage import read_json, write_text

ALT = "What slips through against milliseconds, of every set-up that was tried"

with job_log(snakemake.log[0]):
    params, dataset = snakemake.params, snakemake.wildcards.dataset
    files = {Path(file).parts[-3]: file for file in snakemake.input.found}
    searches = {category: read_json(file) for category, file in files.items()}
    folder = Path(snakemake.output.figures)
    folder.mkdir(parents=True)
    configs = {}
    for category, found in searches.items():
        configs[category] = ""
        if found["best"] is not None:
            configs[category] = search_text.config_lines(
                dataset, category, params.entry, found, files[category]
            )
            write_text(folder / f"{category}.yaml", configs[category])
        write_text(folder / f"{category}.svg", search_svg(found, params.asked))
    text = render(
        "best.md",
        dataset=dataset,
        searches=searches,
        configs=configs,
        asked=params.asked,
        alt=ALT,
        words=search_text,
    )
    write_text(snakemake.output.markdown, text)

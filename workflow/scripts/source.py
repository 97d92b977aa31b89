"""Rule `source`: put one category on disk, in the MVTec layout."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.provenance import FACTS
from defectbench.sources.archives import (
    WHOLE,
    Archive,
    category_archive,
    unpacked_category,
)
from defectbench.sources.mvtec_folder import link_category, link_elpv
from defectbench.sources.own_folders import lay_out, own_categories

with job_log(snakemake.log[0]):
    dataset, category = snakemake.wildcards.dataset, snakemake.wildcards.category
    output = Path(snakemake.output.category)
    # read here and not given as parameters: most of the entry does not change the images
    entry = snakemake.config["datasets"][dataset]
    chosen = snakemake.config["categories"]
    if entry["source"] == "elpv":
        link_elpv(category, output)
    elif "good" in entry:
        folder = own_categories(entry)[category]
        lay_out(folder, entry, category, snakemake.config["seed"], output)
    elif entry["source"] == "folder":
        link_category(Path(entry["path"], category), output)
    else:
        if entry["source"] == "archive":
            content = snakemake.params.origin["content"]
            archive = Archive(WHOLE, [], path=entry["path"], digest=content)
        else:
            archive = category_archive(category, entry, FACTS / f"{dataset}_sources.csv")
        folder = unpacked_category(
            category,
            archive,
            [name for name in entry["all_categories"] if chosen == "all" or name in chosen],
            Path("resources", "unpacked", dataset),
            Path("resources", "downloads"),
            keep=entry.get("keep_archive", False),
        )
        link_category(folder, output)

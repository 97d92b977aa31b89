"""Rule `features`: every layer that a category's methods read, of every backbone."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.features.category import write_features
from defectbench.features.devices import Machine
from defectbench.features.feature_file import Pass, provenances
from defectbench.features.finished import kept_name
from defectbench.garbage import exiting_at_once
from defectbench.images.index import read_index
from defectbench.storage import read_json, write_json

with exiting_at_once(), job_log(snakemake.log[0]):
    params = snakemake.params
    index = read_index(snakemake.input.index)
    backbones = sorted({entry["backbone"] for entry in params.passes})
    weights = dict(zip(backbones, snakemake.input.weights, strict=True))
    passes = [Pass.of_entry(entry, weights[entry["backbone"]], index) for entry in params.passes]
    made = provenances(passes, index, params.bits, params.storage, params.code["code"])
    milliseconds = write_features(
        [(Path(snakemake.input.category, row.file), row.sha256) for row in index],
        passes,
        made,
        # not a parameter: where features are computed does not make them others
        Machine(snakemake.config["device"], params.precision, snakemake.threads, params.storage),
        Path(snakemake.output.features),
        "features " + "/".join(snakemake.wildcards),
        params.bits,
    )
    # of what was extracted earlier, the cost is known from then
    output = Path(snakemake.output.cost)
    kept = kept_name(output)
    known = read_json(kept) if kept.is_file() else {}
    cost = {name: (known | milliseconds).get(name) for name in made}
    for file in (output, kept):
        write_json(file, cost)

"""What PyTorch's compiler has to do with it: jobs start without it, and it exports every scorer."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import ROOT

from defectbench.deployment.export import OPSET
from defectbench.deployment.graphs import GRAPHS, scorer_graph
from defectbench.scorers import scorer_class

PARAMETERS = {
    "pca_kde": {"components": 4},
    "padim": {"channels": 5, "map_size": 16},
    "patchcore": {"map_size": 16},
}
SCRIPTS = ROOT / "workflow" / "scripts"


def test_torchvision_starts_without_the_compiler(resnet18_weights: Path):
    code = (
        "import sys, pathlib; from defectbench.features.backbones import load_backbone; "
        f"load_backbone('resnet18', pathlib.Path({str(resnet18_weights)!r})); "
        "assert 'torch._dynamo' not in sys.modules; "
        "import torch._dynamo.utils; assert torch._dynamo.utils.counters is not None"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SCRIPTS)


class OneLayer(torch.nn.Module):
    def __init__(self, graph: torch.nn.Module) -> None:
        super().__init__()
        self.scoring = graph

    def forward(self, layer: torch.Tensor) -> torch.Tensor:
        return self.scoring([layer])[0]


@pytest.mark.parametrize("name", GRAPHS)
def test_graph_holds_operators_of_onnx_alone(name: str):
    maps = np.random.default_rng(42).normal(size=(30, 6, 4, 4)).astype(np.float32)
    parameters = PARAMETERS.get(name, {})
    scorer = scorer_class(name)(**parameters).fit(maps)
    program = torch.onnx.export(
        OneLayer(scorer_graph(name, scorer.to_arrays(), parameters)).eval(),
        (torch.from_numpy(maps[:7]),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("n", min=1, max=64)},),
        opset_version=OPSET,
        verbose=False,
    )
    assert {node.domain for node in program.model_proto.graph.node} == {""}

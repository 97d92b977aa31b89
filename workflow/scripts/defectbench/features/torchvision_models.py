"""torchvision's models without PyTorch's compiler.

Why: one detection operator of torchvision imports `torch._dynamo` to ask whether PyTorch's compiler
can be used. The import takes longer than all else at the start of an extraction, and a CNN for
classification never asks. While torchvision is imported, empty modules stand in the compiler's
place.

What it gains: torchvision is imported in 0.2 s instead of 1.1 to 1.3 s.

When it may go: when ``python -X importtime -c "import torchvision"`` names no `torch._dynamo`.
"""

import sys
import types

import torch


def torchvision_model(name: str) -> torch.nn.Module:
    """Build a torchvision model without weights."""
    names = ("torch._dynamo", "torch._dynamo.utils")
    absent = [name for name in names if name not in sys.modules]
    for module in absent:
        sys.modules[module] = types.ModuleType(module)
        # torchvision asks this as it is imported: of its operators, none is then compiled
        sys.modules[module].is_compile_supported = lambda device: False
    try:
        from torchvision.models import get_model
    finally:
        for module in absent:  # whoever needs the compiler later imports it itself
            del sys.modules[module]
    return get_model(name, weights=None)

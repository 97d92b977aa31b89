"""The device that networks run on and the precision that they compute in."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from defectbench.errors import InputError
from defectbench.features.feature_file import CPU
from defectbench.features.gpus import claimed_gpu


@contextlib.contextmanager
def claimed_device(wanted: str) -> Iterator[torch.device]:
    """Device for ``auto``, ``cpu`` or ``cuda``; a GPU is nobody else's until the block ends.

    Raises
    ------
    InputError
        If ``cuda`` is asked for and there is none.
    """
    device = select_device(wanted)
    with contextlib.ExitStack() as claims:
        if device.type == "cuda":
            count = torch.cuda.device_count()
            gpus = [str(torch.cuda.get_device_properties(i).uuid) for i in range(count)]
            device = torch.device("cuda", claims.enter_context(claimed_gpu(gpus)))
        found = "" if device.type == "cuda" else " (no GPU found, or device: cpu)"
        print(f"device: {device_name(device)}{found}", file=sys.stderr)
        yield device


def select_device(wanted: str) -> torch.device:
    """Kind of device for ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    InputError
        If ``cuda`` is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise InputError("device: cuda was asked for, and PyTorch finds no GPU; use auto or cpu")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def device_name(device: torch.device) -> str:
    """Name of a device for people."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else CPU


def select_precision(wanted: str, device: torch.device) -> str:
    """Precision for ``fp32``, ``bf16`` or ``auto``: bf16 where it is known to be the faster one."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    capabilities = torch.cpu.get_capabilities()
    # AVX512_BF16 alone does not decide: on an AMD EPYC bf16 was the faster one, on an Intel Xeon
    # without AMX the slower one (28.9 images/s against 34.6 in fp32, ResNet-18)
    fast = capabilities.get("amx_bf16") or (capabilities.get("avx512_bf16") and _is_made_by_amd())
    return "bf16" if fast else "fp32"


def _is_made_by_amd(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    return cpuinfo.is_file() and "AuthenticAMD" in cpuinfo.read_text(encoding="utf-8")

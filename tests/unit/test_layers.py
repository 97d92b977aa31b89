"""Backbones and layers that do not exist are refused before anything starts."""

from pathlib import Path

import pytest
import yaml

from defectbench.config.layers import check_layers, timm_models
from defectbench.errors import InputError

ROOT = Path(__file__).parents[2]


def config(backbone: str, layer: str, source: str = "folder") -> dict:
    return {
        "datasets": {"parts": {"source": source, "methods": ["fre"]}},
        "methods": {"fre": {"backbones": [backbone], "layer": layer}},
    }


def test_the_layers_of_the_projects_methods_exist(tmp_path: Path):
    check_layers(yaml.safe_load((ROOT / "config.yaml").read_text()), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_timm_models_are_read_off_its_source():
    import timm

    assert sorted(timm_models()) == sorted(timm.list_models())


def test_an_unknown_layer_is_refused_with_the_nearest(tmp_path: Path):
    told = r"methods\.fre\.layer: resnet18 has no layer 'layr3'.*layer3"
    with pytest.raises(InputError, match=told):
        check_layers(config("resnet18", "layr3"), tmp_path)
    with pytest.raises(InputError, match=r"it can be conv1, bn1, relu, maxpool, layer1"):
        check_layers(config("resnet18", "?"), tmp_path)


def test_an_unknown_backbone_is_refused_with_the_nearest(tmp_path: Path):
    told = r"methods\.fre\.backbones: unknown backbone 'resnet19'.*resnet18"
    with pytest.raises(InputError, match=told):
        check_layers(config("resnet19", "layer3"), tmp_path)


def test_layers_of_a_timm_model_are_listed_once(tmp_path: Path):
    check_layers(config("test_resnet.r160_in1k", "layer3"), tmp_path)
    (kept,) = tmp_path.iterdir()
    before = kept.stat().st_mtime_ns
    with pytest.raises(InputError, match=r"test_resnet\.r160_in1k has no layer 'blocks\.3'"):
        check_layers(config("test_resnet.r160_in1k", "blocks.3"), tmp_path)
    assert kept.stat().st_mtime_ns == before


def test_of_given_features_no_layer_is_asked(tmp_path: Path):
    check_layers(config("resnet18", "-", source="features"), tmp_path)

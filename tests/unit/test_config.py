"""From config to cells; what refers to nothing is refused with its key."""

import copy
import os
import shutil
from math import inf, nan
from pathlib import Path

import pytest
import yaml

from check_datasets import print_new_images
from defectbench.config import further_images, plan
from defectbench.config.checks import check_config, check_images
from defectbench.config.plan import Cell, scorer_parameters
from defectbench.config.schema import check_schema
from defectbench.errors import InputError

ROOT = Path(__file__).parents[2]


def method(scorer: str, layer: str, pool: int = 1, **parameters: object) -> dict:
    taken = {"layer": layer, "pool": pool, "preprocessing": "p", "backbones": ["x"]}
    return {"scorer": scorer} | taken | parameters


PADIM = method("padim", layer="a")


@pytest.fixture
def config(small_dataset: Path) -> dict:
    return {
        "seed": 42,
        "device": "cpu",
        "categories": "all",
        "threshold": {"false_positive_rate": 0.05, "folds": 5},
        "datasets": {
            "parts": {"source": "folder", "path": str(small_dataset), "methods": ["a", "b"]}
        },
        "preprocessings": {"p": {"interpolation": "lanczos", "size": 64}},
        "methods": {
            "a": method("pca_kde", layer="pool", components=4) | {"backbones": ["x", "y"]},
            "b": method("pca_fre", layer="deep", pool=2),
        },
        "backbones": {},
        "search": {"backbones": ["resnet18"]},
    }


def test_the_projects_own_config_is_valid():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    check_schema(config)
    check_config(config)


def test_cells_are_categories_by_methods_by_backbones(config: dict):
    assert plan.cells(config, "parts") == [
        Cell(category, method, backbone)
        for category in ("plate", "ring")
        for method, backbone in (("a", "x"), ("a", "y"), ("b", "x"))
    ]


def test_what_draws_random_numbers_runs_once_per_seed(config: dict):
    config["methods"]["padim"] = PADIM
    config["datasets"]["parts"]["methods"].append("padim")
    check_config(config)
    config["seeds"] = [42, 43]
    plan.separate_seeds(config)
    assert config["datasets"]["parts"]["methods"] == ["a", "b", "padim@42", "padim@43"]
    assert scorer_parameters(config, "padim@43") == {"seed": 43}
    assert scorer_parameters(config, "a") == {"components": 4}


def test_a_single_seed_changes_no_name(config: dict):
    config["methods"]["padim"] = PADIM
    plan.separate_seeds(config)
    assert scorer_parameters(config, "padim") == {"seed": 42}


@pytest.mark.parametrize("chosen", ["ring", "ring, ring", ["ring"]])
def test_single_categories_can_be_chosen(config: dict, chosen: str | list):
    config["categories"] = chosen
    check_schema(config)
    assert plan.chosen_categories(config, "parts") == ["ring"]


def test_a_folder_may_lack_categories_that_the_dataset_has(config: dict):
    config["datasets"]["parts"]["all_categories"] = ["bolt", "ring", "plate"]
    assert plan.all_categories(config, "parts") == ["bolt", "ring", "plate"]
    assert plan.chosen_categories(config, "parts") == ["ring", "plate"]


def test_a_dataset_by_the_name_of_another_one_is_told_so(config: dict):
    """As one's own images called `elpv`, whose categories config.yaml names."""
    config["datasets"]["parts"]["all_categories"] = ["bolt", "nut"]
    with pytest.raises(InputError, match=r"has plate, ring, and not those of .*, bolt, nut: give"):
        plan.chosen_categories(config, "parts")


def test_a_study_of_null_is_left_out(config: dict):
    sizes = {"images": [5, "all"], "repeats": 2}
    config["studies"] = {"training_size": sizes, "contamination": None}
    check_schema(config)
    assert config["studies"] == {"training_size": sizes}


def test_a_path_may_begin_at_home(config: dict, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/engineer")
    entry = {"source": "folder", "path": "~/parts", "groups": {"csv": "~/groups.csv"}}
    config["datasets"]["parts"] = entry
    check_schema(config)
    assert entry["path"] == "/home/engineer/parts"
    assert entry["groups"] == {"csv": "/home/engineer/groups.csv"}


def layout(name: str, dataset: Path) -> tuple[Path, str]:
    """A folder as new users have it, and what they are told."""
    train = dataset / "plate" / "train"
    shutil.rmtree(dataset / "ring")
    if name == "the category itself":
        return dataset / "plate", f"set `path` to {dataset}"
    if name == "flat":
        images = dataset.parent / "flat"
        shutil.copytree(train / "good", images)
        return images, "found 16 images; expected"
    (train / "good").rename(train / name)
    return dataset, f"found plate/train/{name}; expected {dataset}/CATEGORY/train/good"


@pytest.mark.parametrize("name", ["the category itself", "ok", "Good", "flat"])
def test_a_wrong_layout_says_what_was_searched_found_and_expected(
    config: dict, dataset_copy: Path, name: str
):
    path, told = layout(name, dataset_copy)
    config["datasets"]["parts"]["path"] = str(path)
    with pytest.raises(InputError) as error:
        plan.chosen_categories(config, "parts")
    searched = f"dataset parts: searched {path} for folders that hold train/good"
    assert str(error.value).startswith(searched)
    assert told in str(error.value)


def test_one_pass_yields_every_layer_asked_for(config: dict):
    assert plan.taps(config, "parts", "x", "p") == [("deep", 2), ("pool", 1)]
    assert plan.taps(config, "parts", "y", "p") == [("pool", 1)]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("sead",), 1, "top level: unknown key 'sead'; did you mean seed?"),
        (("categories",), "", "categories"),
        (("datasets", "parts", "pathh"), "x", "datasets.parts: unknown key 'pathh'; did you mean"),
        (("seed",), "x", "seed: 'x'"),
        (("categories",), [], "categories"),
        (("datasets", "parts", "source"), "web", "datasets.parts.source"),
        (("datasets", "parts", "path"), None, "datasets.parts.path"),
        (("datasets", "parts", "groups"), {"tsv": "x"}, "datasets.parts.groups"),
        (("preprocessings", "p", "size"), 0, "preprocessings.p.size"),
        (("preprocessings", "p", "aspect"), "padd", "preprocessings.p.aspect: 'padd'.*'pad'"),
        (("methods", "a", "pool"), 0, "methods.a.pool"),
        (("methods", "a", "backbones"), [], "methods.a.backbones"),
        (("methods", "a", "trimmed"), 0.6, "methods.a.trimmed: 0.6 is greater than .* 0.5"),
        (("methods", "a", "trimmed"), 0, "methods.a.trimmed: 0 is less than or equal to"),
        (("threshold",), {"false_positive_rate": nan}, "threshold.*nan is not of type 'number'"),
        (("threshold",), {"false_positive_rate": "nan"}, "threshold.*nan is not of type 'number'"),
        (("operating_points",), [0.05, -inf], "operating_points.1: -inf is not of type 'number'"),
        (("datasets", "parts", "studies"), "yes", "datasets.parts.studies: 'yes' is not of type"),
        (("datasets", "parts", "path"), {"a": 1}, r"datasets.parts.path: \{'a': 1\} is no text$"),
        (("seed",), 42.0, "seed: 42.0 is not of type 'integer'"),
        (("seed",), 10**400, "seed: 10+ is not of type 'integer'"),
        (("preprocessings", "p", "size"), 64.0, "preprocessings.p.size: 64.0 is not of type"),
        (("preprocessings", "p", "size"), 10**5, "size: 100000 is greater than"),
        (("search", "budget"), "soon", "search.budget: 'soon' does not fit; write it like 1h$"),
        (("search", "budget"), 0, "search.budget: 0 is less than the minimum of 1$"),
        (("search", "disk"), "5G", "search.disk: '5G' does not fit; write it like 100GB$"),
    ],
)
def test_the_schema_names_the_key(config: dict, path: tuple, value: object, message: str):
    with pytest.raises(InputError, match=message):
        check_schema(changed(config, path, value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("categories",), ["rign"], "categories: unknown value 'rign'; did you mean ring"),
        (("datasets", "parts", "methods"), ["c"], "datasets.parts.methods.*a, b"),
        (("methods", "a", "scorer"), "pca_kd", "did you mean pca_kde"),
        (("methods", "a", "preprocessing"), "q", "methods.a.preprocessing"),
        (("methods", "a", "component"), 4, "methods.a: unknown key 'component'"),
        (("methods", "a", "components"), 0, "methods.a.components: 0"),
        (("methods", "b", "variance"), 97, "methods.b.variance: 97"),
        (("methods", "b", "variance"), nan, "methods.b.variance: nan is not of type 'number'"),
        (("methods", "a", "components"), 4.0, "methods.a.components: 4.0 is not of type 'integer'"),
        (("datasets", "parts_run"), {}, "parts_run: the record of runs of parts is called so"),
        (("datasets", "parts", "chosen_by"), "broken.json", "chosen_by: broken.json: no record"),
        (("preprocessings", "p", "crop"), 65, "preprocessings.p.crop: larger"),
        (("datasets", "parts", "studies"), True, "parts.studies: there are none to show"),
        (("datasets", "parts", "groups"), "t(", "datasets.parts.groups: 't.' is no regular"),
        (("datasets", "parts", "groups"), {"csv": "none.csv"}, "groups: none.csv: cannot be read"),
    ],
)
def test_a_name_that_refers_to_nothing_is_refused(
    config: dict, path: tuple, value: object, message: str
):
    with pytest.raises(InputError, match=message):
        check_config(changed(config, path, value))


@pytest.mark.parametrize(("components", "message"), [(14, "needs 16"), (11, "leave 12")])
def test_more_components_than_images_allow_are_refused(config: dict, components: int, message: str):
    config["methods"]["a"]["components"] = components
    with pytest.raises(
        InputError, match=r"methods\.a needs .* training images.*plate has 16"
    ) as error:
        check_images(config, "parts")
    assert message in str(error.value)


def test_trimming_counts_in_how_many_images_are_left(config: dict):
    config["methods"]["a"] |= {"components": 8, "trimmed": 0.3}
    with pytest.raises(InputError, match="plate has 16, of which trimming and 5 folds leave 9"):
        check_images(config, "parts")
    del config["methods"]["a"]["trimmed"]
    check_images(config, "parts")


def test_truth_values_from_the_command_line_are_read(config: dict):
    config["datasets"]["parts"]["studies"] = "true"
    check_schema(config)
    assert config["datasets"]["parts"]["studies"] is True


def test_costs_need_the_share_of_defective_parts(config: dict):
    config["costs"] = {"escape": 100, "false_alarm": 1}
    with pytest.raises(InputError, match=r"costs: .*add it, such as defective_share: 0\.01"):
        check_config(config)
    check_config(config | {"defective_share": 0.01})


def test_groups_that_name_no_image_are_refused(config: dict):
    config["datasets"]["parts"]["groups"] = r"good/(00\d)"
    check_images(config, "parts")
    config["datasets"]["parts"]["groups"] = r"tile\d"
    with pytest.raises(InputError, match=r"no image; paths look like train/good/000\.png"):
        check_images(config, "parts")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"source": "elpv", "path": "x"}, r"parts\.path: not a key of this source"),
        ({"source": "elpv", "groups": "x"}, r"parts\.groups: not a key of this source"),
        ({"source": "features", "path": "x", "new": "y"}, r"parts\.new: not a key of this source"),
        ({"source": "folder", "path": "x", "urls": {}}, r"parts\.urls: not a key of this source"),
        ({"source": "folder"}, "parts: this source needs the key 'path'"),
        ({"source": "archive", "path": "x"}, "parts: this source needs the key 'all_categories'"),
    ],
    ids=str,
)
def test_every_source_has_keys_of_its_own(config: dict, entry: dict, message: str):
    config["datasets"]["parts"] = entry | {"methods": ["a"]}
    check_schema(config)
    with pytest.raises(InputError, match=message):
        check_config(config)


@pytest.mark.parametrize(
    "url", ["notaurl", "http://host/nöne", "http://[::1/x", f"http://{'ö' * 70}/x"]
)
def test_an_address_that_cannot_be_one_is_refused(config: dict, url: str):
    urls = {"plate": ["https://example.org/plate.tar.xz", url]}
    entry = {"source": "download", "all_categories": ["plate"], "methods": ["a"], "urls": urls}
    config["datasets"]["parts"] = entry
    check_schema(config)
    with pytest.raises(InputError, match=r"^config: datasets\.parts\.urls\.plate: ") as error:
        check_config(config)
    assert f"{url!r}: no address" in str(error.value)
    urls["plate"].remove(url)
    check_config(config)


def test_an_unknown_dataset_is_refused(config: dict):
    with pytest.raises(InputError, match="unknown dataset 'mvtek'; it can be parts"):
        check_images(config, "mvtek")


def changed(config: dict, path: tuple, value: object) -> dict:
    """A copy with one key set."""
    config = copy.deepcopy(config)
    entry = config
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    return config


@pytest.fixture
def with_new(config: dict, tmp_path: Path) -> dict:
    """A dataset of two categories that names an empty folder of new images."""
    (tmp_path / "today").mkdir()
    config["datasets"]["parts"]["new"] = str(tmp_path / "today")
    config["precision"] = "fp32"
    return config


def test_new_images_lie_in_folders_named_like_categories(with_new: dict, tmp_path: Path):
    (tmp_path / "today" / "ring").mkdir()
    assert further_images.new_folders(with_new, "parts") == {"ring": tmp_path / "today" / "ring"}
    assert further_images.new_image_cells(with_new, "parts") == [
        Cell("ring", method, backbone) for method, backbone in (("a", "x"), ("a", "y"), ("b", "x"))
    ]


def test_new_images_of_a_dataset_of_one_category_need_no_folder_of_its_name(
    with_new: dict, tmp_path: Path
):
    with_new["datasets"]["parts"]["all_categories"] = ["ring"]
    assert further_images.new_folders(with_new, "parts") == {"ring": tmp_path / "today"}


def test_a_new_image_that_is_no_file_is_told_by_the_check(
    with_new: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    pipe = tmp_path / "today" / "ring" / "a.png"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    print_new_images(with_new, "parts")
    told = capsys.readouterr().out.splitlines()[1:]
    assert told == [f"  ring: {pipe} is no file: no score; remove it"]


def test_what_cannot_be_exported_scores_no_new_images(with_new: dict, tmp_path: Path):
    (tmp_path / "today" / "ring").mkdir()
    with_new["methods"]["a"] = PADIM | {"scorer": "tied_autoencoder", "seed": 42}
    assert further_images.new_image_cells(with_new, "parts") == [Cell("ring", "b", "x")]
    with_new["datasets"]["parts"]["methods"] = ["a"]
    with pytest.raises(InputError, match=r"parts\.new: none of the .* can be exported; .*pca_fre"):
        further_images.new_image_cells(with_new, "parts")


def test_new_images_that_cannot_be_scored_are_refused_with_their_key(
    with_new: dict, tmp_path: Path
):
    with pytest.raises(InputError, match=r"parts\.new: .*today has no folder .*: plate, ring"):
        further_images.new_image_cells(with_new, "parts")
    (tmp_path / "today" / "ring").mkdir()
    with pytest.raises(InputError, match=r"parts\.new: exported .* set precision: fp32"):
        further_images.new_image_cells(with_new | {"precision": "auto"}, "parts")
    with_new["datasets"]["parts"]["new"] = "nowhere"
    with pytest.raises(InputError, match=r"parts\.new: nowhere: no such folder"):
        further_images.new_image_cells(with_new, "parts")


@pytest.mark.parametrize(
    ("name", "read"),
    [("2024", "a number"), ("2024-05-01", "a date"), ("no", "a truth value"), ("1.5", "a number")],
)
def test_a_name_that_yaml_reads_as_something_else_is_to_be_quoted(
    config: dict, name: str, read: str
):
    config["datasets"] = yaml.safe_load(f"{{{name}: {{source: folder, path: x}}}}")
    with pytest.raises(InputError, match=f"config.datasets: YAML reads {read}.*; quote it"):
        check_schema(config)


def test_a_name_with_a_space_is_told_what_it_may_hold(config: dict):
    config["datasets"]["Linie 1"] = config["datasets"].pop("parts", {"source": "elpv"})
    with pytest.raises(InputError, match="'Linie 1' may hold letters, digits, _ and - alone"):
        check_schema(config)

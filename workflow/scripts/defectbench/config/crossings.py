"""The study `across` in the settings: which detectors are shown the images of which others."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from defectbench.config import plan
from defectbench.config.plan import Config
from defectbench.config.schema import check_known
from defectbench.errors import InputError


class Place(NamedTuple):
    """The images of a category, or of some groups of it."""

    dataset: str
    category: str
    groups: tuple[str, ...] = ()

    def title(self, dataset: str) -> str:
        """Name of the place in a report of a dataset; its own dataset is not named there."""
        name = self.category if self.dataset == dataset else f"{self.dataset}/{self.category}"
        return f"{name} ({', '.join(self.groups)})" if self.groups else name


class Crossing(NamedTuple):
    """A detector of one place, and a place whose test images it is shown."""

    train: Place
    test: Place


def crossings(config: Config, dataset: str, category: str) -> list[Crossing]:
    """The pairs whose detector is one of this category, in the order of the settings.

    A pair that names no dataset counts for every dataset that has both categories.
    """
    found = [
        Crossing(*(_place(pair[key], dataset) for key in ("train", "test")))
        for pair in config.get("studies", {}).get("across", ())
    ]
    return [
        crossing
        for crossing in found
        if crossing.train[:2] == (dataset, category)
        and crossing.test.category in plan.all_categories(config, crossing.test.dataset)
    ]


def check_crossings(config: Config) -> None:
    """Refuse pairs of unknown categories, and of datasets whose features cannot be compared.

    Raises
    ------
    InputError
        Naming the key and what to change.
    """
    every = plan.every_category(config)
    for pair in config.get("studies", {}).get("across", ()):
        train, test = (_place(pair[key], "") for key in ("train", "test"))
        if bool(train.dataset) != bool(test.dataset):
            raise InputError(
                f"config: studies.across: {train.title('')} and {test.title('')}: name the dataset "
                "of both, as in elpv/monocrystalline, or of neither"
            )
        for key, place in (("train", train), ("test", test)):
            path, having = f"studies.across.{key}", every
            if place.dataset:
                check_known(path, place.dataset, config["datasets"], "dataset")
                having = plan.known_categories(config, place.dataset)
            check_known(path, place.category, having)
        if train.dataset != test.dataset:
            _check_features(config, train.dataset, test.dataset)


def _place(spelled: str | Mapping[str, Any], dataset: str) -> Place:
    """A place as the settings spell it; `dataset` is meant where they name none."""
    given = {"category": spelled} if isinstance(spelled, str) else spelled
    owner, _, category = given["category"].rpartition("/")
    return Place(owner or dataset, category, tuple(given.get("groups", ())))


def _check_features(config: Config, train: str, test: str) -> None:
    """Refuse a dataset that lacks features which the detectors of another one read."""
    if plan.gives_images(config, train) != plan.gives_images(config, test):
        raise InputError(
            f"config: studies.across: features of one of {train} and {test} were made elsewhere, "
            "so the other's detectors cannot read them"
        )
    if not plan.gives_images(config, train):
        return
    for name in config["datasets"][train]["methods"]:
        method = config["methods"][name]
        for backbone in method["backbones"]:
            place = (backbone, method["preprocessing"])
            own = {(layer, method["pool"]) for layer in plan.method_layers(method)}
            if own - set(plan.taps(config, test, *place)):
                raise InputError(
                    f"config: studies.across: {test} has no features for {name} of {train}; add it "
                    f"to datasets.{test}.methods"
                )

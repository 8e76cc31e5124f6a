"""Cards of image tasks: where the images come from and what a network sees of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from wann.checks import number_in, unknown, whole_number_in
from wann.config import check_keys
from wann.tasks.task_card import (
    TaskCard,
    check_names,
    check_search,
    check_tables,
    check_task_name,
    check_texts,
)

MAX_SIDE = 64  # pixels: a network has at most 4,096 inputs
MAX_IMAGES = 10_000_000
RESIZING = ("area", "linear")


@dataclass(frozen=True)
class ImageSettings:
    """Which images a task has, and what a network sees of them: a card's [images] table.

    source: a known set (digits, mnist, fashion-mnist, cifar-10), the path of a `.npz` file, or that
        of an IDX file of images. labels: the IDX file of its labels.
    test_source, test_labels: IDX files of the test images; without them, a share of `source` is
        put aside.
    size: side of the square that a network sees, pixels; 0 for the images' own.
    resize: "area" averages, "linear" interpolates between the four nearest pixels.
    deskew: whether slanted images are set upright by their moments.
    batch: training images that a generation is scored on; None for 1,000, or all if fewer.
    validation: share (below 1) or number of the source's images that choose the champion.
    test: the same of images that score it at the end, where the source names none itself.
    classes: a name for each label, from 0; numbered where left out.
    Raises ValueError or TypeError that names the key for a wrong value.
    """

    source: str
    labels: str = ""
    test_source: str = ""
    test_labels: str = ""
    size: int = 0
    resize: str = "area"
    deskew: bool = False
    batch: int | None = None
    validation: float = 0.2
    test: float = 0.2
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("source", "labels", "test_source", "test_labels", "resize"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.isprintable():
                raise TypeError(f"images.{name} must be one line of text, but {value!r} was given")
        if not self.source:
            raise ValueError("images.source must name a set or a file, but it is empty")
        if bool(self.test_source) != bool(self.test_labels):
            raise ValueError("images.test_source and images.test_labels go together; give both")
        if self.test_source and not self.labels:
            raise ValueError("images.test_source is for IDX files, so images.labels is needed too")
        whole_number_in("images.size", self.size, 0, MAX_SIDE)
        if self.resize not in RESIZING:
            raise unknown("way to resize", self.resize, RESIZING, "area or linear")
        if not isinstance(self.deskew, bool):
            raise TypeError(f"images.deskew must be true or false, but {self.deskew!r} was given")
        if self.batch is not None:
            whole_number_in("images.batch", self.batch, 1, MAX_IMAGES)
        for name in ("validation", "test"):
            value = number_in(f"images.{name}", getattr(self, name), 0, MAX_IMAGES)
            if value == 0 or (value >= 1 and value != int(value)):
                raise ValueError(
                    f"images.{name} must be a share below 1 or a number of images, "
                    f"but {value!r} was given"
                )
        check_names(self, ("classes",))

    def table(self) -> dict[str, Any]:
        """Return the settings that are not the default."""
        found = {each.name: (getattr(self, each.name), each.default) for each in fields(self)}
        return {name: value for name, (value, default) in found.items() if value != default}


@dataclass(frozen=True, eq=False)
class ImageCard(TaskCard):
    """A task of telling images apart, as its file describes it; see `TaskCard` and docs/tasks.md.

    images: which ones; a table is made `ImageSettings`.
    Raises ValueError or TypeError that names the key for a wrong value.
    """

    task: str
    images: ImageSettings
    note: str = ""
    search: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        check_texts(self, ("task", "note"))
        check_task_name(self)
        check_tables(self, ("search", "presets"))
        if not isinstance(self.images, ImageSettings):
            object.__setattr__(self, "images", _settings(self.images))
        check_search(self)

    def table(self) -> dict[str, Any]:
        """Return what the card's file says; `card_of_table` makes an equal card of it."""
        return super().table() | {"images": self.images.table()}


def _settings(table: object) -> ImageSettings:
    if not isinstance(table, Mapping):
        raise TypeError(f"images must be a table, but {table!r} was given")
    check_keys(table, [each.name for each in fields(ImageSettings)], "[images]")
    if "source" not in table:
        raise ValueError("key 'source' of [images], a set's name or a file, is missing")
    return ImageSettings(**table)

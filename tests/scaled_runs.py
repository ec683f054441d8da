"""Small runs over addresses and by several processes, with stages of a stick figure."""

import json
import os
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from PIL import Image as PillowImage
from stick_stages import StickStages

from fitloop.data.places import Place, open_place
from fitloop.pipelines.folder.config import RunConfig

DEADLY = 255
"""Green value of a photo that ends the process."""


class DeadlyStages(StickStages):
    """Ends the process at a photo that says so, as a segmentation fault does."""

    def detect(self, image: Any) -> Any:
        if int(image.pixels[0, 0, 1]) == DEADLY:
            os._exit(1)
        return super().detect(image)


def paint(people: int, green: int = 0) -> PillowImage.Image:
    """A photo of so many people."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[0, 0, :2] = people, green
    return PillowImage.fromarray(pixels)


def make_photos(folder: Path, count: int = 10, deadly: tuple[int, ...] = ()) -> Path:
    """A folder of numbered photos of 0 to 2 people."""
    for number in range(count):
        path = folder / f"{number % 3}" / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        paint(number % 3, DEADLY if number in deadly else 0).save(path)
    return folder


def config_of(photos: Any, out: Any, **changed: Any) -> RunConfig:
    """Options of a small run."""
    return RunConfig(**{"images": Path(photos), "out": Path(out), "batch_size": 2, "outputs": ("page",), **changed})


def arrays_at(out: Any) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of every results file, but for what says where they came from."""
    place = open_place(out)
    found = {}
    for path in place.fs.find(place / "results"):
        with place.fs.open(path) as file, np.load(file, allow_pickle=False) as arrays:
            found[path.split("/results/")[1]] = {key: arrays[key] for key in arrays if key != "made_from"}
    return found


def assert_same_results(one: Any, other: Any) -> None:
    """Every array of every photo is the same to the last bit."""
    first, second = arrays_at(one), arrays_at(other)
    assert first.keys() == second.keys() and first
    for name, arrays in first.items():
        assert arrays.keys() == second[name].keys()
        for key, value in arrays.items():
            np.testing.assert_array_equal(value, second[name][key], err_msg=f"{name} {key}")


def table_of(out: Any) -> list[dict]:
    """Rows of people.parquet."""
    from fitloop.evaluation.people_table import TABLE, open_table

    place = open_place(out)
    return open_table(place / TABLE, place.fs).to_table().to_pylist()


def told(out: Any) -> dict:
    """What run.json says."""
    return json.loads(open_place(out).read("run.json"))


def memory(name: str, folder: Path) -> str:
    """The address of a copy of a folder in the memory of this process."""
    place = Place(f"memory://{name}")
    for path in folder.rglob("*"):
        if path.is_file():
            place.put(path, path.relative_to(folder).as_posix())
    assert fsspec.filesystem("memory").exists(f"/{name}")
    return f"memory://{name}"

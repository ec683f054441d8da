"""Convert a data set, as its authors distribute it, to SPIN's format: ``fitloop prepare coco-2014 --source coco/``."""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("prepare")

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from fitloop.data.converters import (
    add_openpose,
    convert_3dhp_test,
    convert_3dhp_train,
    convert_3dpw,
    convert_coco,
    convert_eft,
    convert_human36m,
    convert_lsp,
    convert_lspet,
    convert_lspet_dev,
    convert_mpii,
)
from fitloop.data.converters.openpose import Matching
from fitloop.data.spin_format import SpinDataset, read_spin, write_spin
from fitloop.data.spin_images import photo_sizes, within_photos
from fitloop.data.spin_sanity import sane
from fitloop.pipelines.console.endings import stop, stop_for
from fitloop.pipelines.console.options import parse, refuse_ignored

Name = Literal[
    "lsp",
    "lsp-test",
    "lspet",
    "lspet_dev",
    "mpii",
    "coco-2014",
    "coco-2014-val",
    "coco-2017",
    "coco-2017-val",
    "h36m",
    "h36m-protocol1",
    "h36m-protocol2",
    "mpi-inf-3dhp",
    "mpi-inf-3dhp-test",
    "3dpw-train",
    "3dpw-validation",
    "3dpw-test",
    "eft",
    "spin",
]

READ_AS_SPIN = ("spin", "h36m", "h36m-protocol1", "h36m-protocol2")
"""Read from SPIN's format, whose reader has held them against what people can be already."""
LAX: dict[str, Matching] = {"mpii": "spin_mpii", "coco-2014": "spin_coco", "coco-2017": "spin_coco"}


@dataclass(frozen=True)
class PrepareConfig:
    """Convert a data set to SPIN's format and check it."""

    dataset: Annotated[Name, tyro.conf.Positional]
    """Which data set; `spin` checks a file that is in SPIN's format already."""
    source: Path
    """Its folder; for h36m, eft and spin its file."""
    out: Path | None = None
    """The .npz to write; named after the data set, in the current folder, if not given."""
    images: Path | None = None
    """Folder that the photos' names start from: checks that every photo is there and keypoints lie inside."""
    openpose: Path | None = None
    """Folder of OpenPose's BODY_25 JSON files to add to the annotated joints."""
    spin_compat: bool = False
    """Repeat SPIN's own converters: unannotated joints of LSP-extended count as observed, OpenPose is matched laxly."""
    image_prefix: str = ""
    """eft: folder to put before each photo's name, for example `train2014/`."""
    allow_duplicates: bool = False
    """Accept files in which a person occurs twice."""

    def __post_init__(self) -> None:
        lax = self.dataset == "lspet" or self.openpose is not None
        refuse_ignored(
            self,
            {
                "spin_compat": (lax, "only lspet and --openpose are read differently by SPIN's own converters."),
                "image_prefix": (self.dataset == "eft", "only eft's photos get a folder before their names."),
                "allow_duplicates": (self.dataset == "spin", "only files in SPIN's format are checked for them."),
            },
        )


def prepare(config: PrepareConfig) -> SpinDataset:
    """Convert, check and write a data set.

    Raises:
        FileNotFoundError: If a file of the source is missing.
        ValueError: If a file of the source is damaged or of another kind, or photos are missing.
    """
    dataset = _convert(config)
    if config.dataset not in READ_AS_SPIN:
        dataset = sane(dataset)
    if config.openpose is not None:
        matching = LAX.get(config.dataset, "spin_other") if config.spin_compat else "share"
        dataset = add_openpose(dataset, config.openpose, matching)
    if config.images is not None:
        sizes = photo_sizes(dataset, config.images)
        dataset = replace(within_photos(dataset, sizes), photo_sizes=sizes.astype(np.float32))
    out = config.out or Path(f"{dataset.name}.npz")
    write_spin(dataset, out)
    return replace(dataset, name=out.stem)


def _convert(config: PrepareConfig) -> SpinDataset:
    source = config.source
    table: dict[str, Callable[[], SpinDataset]] = {
        "lsp": lambda: convert_lsp(source, "train"),
        "lsp-test": lambda: convert_lsp(source, "test"),
        "lspet": lambda: convert_lspet(source, config.spin_compat),
        "lspet_dev": lambda: convert_lspet_dev(source),
        "mpii": lambda: convert_mpii(source),
        "coco-2014": lambda: convert_coco(source, "2014", "train"),
        "coco-2014-val": lambda: convert_coco(source, "2014", "val"),
        "coco-2017": lambda: convert_coco(source, "2017", "train"),
        "coco-2017-val": lambda: convert_coco(source, "2017", "val"),
        "h36m": lambda: convert_human36m(source, "train"),
        "h36m-protocol1": lambda: convert_human36m(source, "protocol1"),
        "h36m-protocol2": lambda: convert_human36m(source, "protocol2"),
        "mpi-inf-3dhp": lambda: convert_3dhp_train(source),
        "mpi-inf-3dhp-test": lambda: convert_3dhp_test(source),
        "3dpw-train": lambda: convert_3dpw(source, "train"),
        "3dpw-validation": lambda: convert_3dpw(source, "validation"),
        "3dpw-test": lambda: convert_3dpw(source, "test"),
        "eft": lambda: convert_eft(source, config.image_prefix),
        "spin": lambda: read_spin(source, config.allow_duplicates),
    }
    return table[config.dataset]()


def describe(dataset: SpinDataset) -> str:
    """Say what a data set holds, in a few lines."""
    crowd = Counter(dataset.image_names)
    seen = (dataset.keypoints[..., 2] > 0).sum(1)
    told = [
        f"{dataset.name}: {len(dataset)} people on {len(crowd)} photos",
        f"annotated joints per person: {seen.mean():.1f} of 24",
    ]
    if dataset.openpose is not None:
        told.append(f"with OpenPose's keypoints: {int((dataset.openpose[..., 2] > 0).any(1).sum())}")
    if dataset.joints_3d is not None:
        told.append(f"with 3D joints: {int((dataset.joints_3d[..., 3] > 0).any(1).sum())}")
    if dataset.has_params is not None:
        told.append(f"with pose and shape: {int(dataset.has_params.sum())}")
    return "\n".join(told)


def main(arguments: list[str] | None = None) -> int:
    """Convert a data set; return 0, 2 after a sentence on what is wrong, or 3 if a file cannot be read or written."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    config = parse(PrepareConfig, arguments)
    try:
        dataset = prepare(config)
    except ValueError as error:
        return stop(str(error))
    except OSError as error:
        return stop_for(error)
    print(describe(dataset))
    print(f"written to {config.out or Path(dataset.name + '.npz')}")
    return 0

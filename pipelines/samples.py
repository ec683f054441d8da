"""Sample photos: people drawn by the project, and a free photograph of a cameraman."""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("samples")

import shutil
from dataclasses import dataclass
from pathlib import Path

from fitloop.body.files import whole_file
from fitloop.pipelines.console.options import parse

SAMPLES = Path(__file__).parent.parent / "samples"


@dataclass(frozen=True, kw_only=True)
class SamplesConfig:
    """Write a folder of sample photos."""

    out: Path = Path("photos")
    """Where to put them."""


def main(arguments: list[str] | None = None) -> int:
    """Write the sample photos; return 0."""
    config = parse(SamplesConfig, arguments)
    for picture in sorted(path for path in SAMPLES.iterdir() if path.suffix in (".jpg", ".png")):
        with whole_file(config.out / picture.name) as path:
            shutil.copyfile(picture, path)
    print(f"{len(list(config.out.iterdir()))} photos in {config.out}")
    return 0

"""Sample photos: people rendered by the project, and a free photograph that scikit-image carries."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from body.files import whole_file
from pipelines.command_line import parse

RENDERED = Path(__file__).parent.parent / "samples"
PHOTOGRAPHS = ("camera",)
"""A cameraman, CC0."""


@dataclass(frozen=True, kw_only=True)
class SamplesConfig:
    """Write a folder of sample photos."""

    out: Path = Path("photos")
    """Where to put them."""


def main(arguments: list[str] | None = None) -> int:
    """Write the sample photos; return 0."""
    from skimage import data

    config = parse(SamplesConfig, arguments)
    for name in PHOTOGRAPHS:
        with whole_file(config.out / f"{name}.png") as path:
            Image.fromarray(getattr(data, name)()).save(path)
    for picture in sorted(RENDERED.glob("*.jpg")):
        shutil.copyfile(picture, config.out / picture.name)
    print(f"{len(list(config.out.iterdir()))} photos in {config.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

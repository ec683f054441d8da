"""The README's picture: photo, regressed bodies, fitted bodies, and the fitted bodies from their side.

python -m benchmarks.first_look --image samples/hall.jpg --out docs/images/first_look.jpg
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from fitloop.body.files import whole_file
from fitloop.data import load_image
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.console.options import parse
from fitloop.pipelines.folder.pictures import QUALITY, overlay, shrink
from fitloop.pipelines.regress_then_fit import Stages, predict
from fitloop.rendering import draw_side_view

GAP = 8
"""White pixels between pictures."""


@dataclass(frozen=True, kw_only=True)
class FirstLookConfig(StagesConfig):
    """Draw every stage of one photo side by side."""

    image: Path
    """The photo."""
    out: Path
    """Where to put the picture, a .jpg."""
    side: int = 560
    """Longer side of each part, pixels."""


def main(arguments: list[str] | None = None) -> int:
    """Draw the picture; return 0."""
    config = parse(FirstLookConfig, arguments)
    image = load_image(config.image)
    people = predict(image, Stages(config))
    if len(people) == 0:
        raise SystemExit(f"fitloop: nobody was found in {config.image}; give another photo.")
    small, scale = shrink(image.pixels, config.side)
    parts = [small, *(overlay(small, scale, people, estimate) for _, estimate in people.stages())]
    nearest = int(people.estimate.params.transl[:, 2].argmin())
    body = people.body(people.estimate.params).vertices[nearest]
    parts.append(draw_side_view(body, people.body.faces, (small.shape[0], int(0.6 * small.shape[0]))))
    gap = np.full((small.shape[0], GAP, 3), 255, np.uint8)
    row = np.concatenate([piece for part in parts for piece in (part, gap)][:-1], axis=1)
    with whole_file(config.out) as path:
        PillowImage.fromarray(row).save(path, format="JPEG", quality=QUALITY)
    return 0


if __name__ == "__main__":
    sys.exit(main())

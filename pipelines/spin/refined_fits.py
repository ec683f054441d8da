"""Stored fits moved on to the pixels: dense refinement inside the training loop."""

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from fitloop.body import Body, BodyEstimate
from fitloop.geometry import Camera, concatenate
from fitloop.pipelines.chain.refining import make_refiner
from fitloop.pipelines.spin.inputs import Photos, read_photo
from fitloop.pipelines.spin.samples import ObservedPeople
from fitloop.pipelines.spin.store import BestFits, Source
from fitloop.refinement import Photo
from fitloop.refinement.refiner import Refiner


class FitsRefiner:
    """Refines new fits before the network learns from them.

    A refined body keeps the energy of the fit it began with: it agrees with keypoints a little less and with pixels
    more, and must give way only to a better fit.
    """

    def __init__(self, body: Body, refiner: Refiner | None = None) -> None:
        """Prepare the stage; it runs where the body is.

        Args:
            body: The body being learned.
            refiner: Of the same body; the shipped network with its usual settings if not given.
        """
        self.refiner = make_refiner(body) if refiner is None else refiner
        self.body, self.device = body.name, body.template.device

    def __call__(
        self, fits: BestFits, chosen: Bool[Tensor, "people"], samples: ObservedPeople, photos: Photos
    ) -> tuple[BestFits, Bool[Tensor, "people"]]:
        """Refine some people's fits, each in its own photo.

        Args:
            fits: One row per sample, on the CPU.
            chosen: Whose.
            samples: The same people.
            photos: Of each person.

        Returns:
            The fits, and whose body was refined: the gate's verdict (`fitloop.refinement.judge`) decides.

        Raises:
            ValueError: If a photo is missing or cannot be read.
        """
        taken = torch.zeros_like(chosen)
        results = [fits[row : row + 1] for row in range(len(chosen))]
        for row in chosen.nonzero()[:, 0].tolist():
            seen = samples.evidence[row : row + 1].to(self.device)
            camera: Camera = samples.camera[row : row + 1].to(self.device)
            pixels = torch.from_numpy(read_photo(photos[row]).pixels).to(self.device)
            photo = Photo(pixels, seen.silhouettes, seen.silhouette_boxes)
            start = BodyEstimate(results[row].params.to(self.device), camera, self.body)
            refined = self.refiner(photo, seen, start)
            if bool(refined.accepted):
                source = torch.full_like(results[row].source, int(Source.REFINED))
                results[row] = replace(results[row], params=refined.estimate.params.to("cpu"), source=source)
                taken[row] = True
        return concatenate(results), taken

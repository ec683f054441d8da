"""The regressor as the rest of the project sees it: evidence of people in, bodies in the photo's camera frame out."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor

from fitloop.body import Body, BodyEstimate, BodyParams, Detections, Image, KeypointKinematics
from fitloop.body.assets import asset_path
from fitloop.body.keypoints import DERIVED_LANDMARKS
from fitloop.body.mirror import rest_pelvis, turn_params
from fitloop.geometry import Camera, where
from fitloop.geometry.rotations import rot6d_to_rotmat
from fitloop.regressor.checkpoints import Weights, load_weights
from fitloop.regressor.crops import crop_inputs
from fitloop.regressor.hmr import HMR, HMROutput
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES, keypoint_inputs, tight_boxes, to_known_landmarks
from fitloop.regressor.placement import MIN_KEYPOINTS, place_body
from fitloop.regressor.recipes import answered_place, box_numbers
from fitloop.regressor.several_looks import Seen, look_several_times
from fitloop.regressor.uncertainty import uncertainty_of
from fitloop.regressor.views import View, view_of_boxes, weak_to_place

ASSETS = Path(__file__).parent / "assets"
BLIND = 2.0
"""Radians, and standard deviations of the shape, by which the body of a person without keypoints may be off."""
SHIPPED = ("keypoints", "proxy")
"""Weights that come with the project."""


@runtime_checkable
class Regressor(Protocol):
    """Anything that guesses bodies from a photo and detections."""

    name: str

    def __call__(self, image: Image | None, detections: Detections, camera: Camera) -> BodyEstimate:
        """Guess the body of every person.

        Args:
            image: The photo; only encoders of images need it.
            detections: One row per person, full-image pixels.
            camera: Of the photo, with no batch axes or one row per person.

        Returns:
            One row per person, in the camera frame of the photo.
        """
        ...


def load_regressor(source: str | Path, body: Body, landmarks: bool = False, looks: bool = True) -> Regressor:
    """Load a regressor for a body.

        body = fitloop.load_body()
        guess = fitloop.load_regressor("keypoints", body)(image, seen, camera)

    Args:
        source: ``keypoints`` for the weights that come with the project, ``mean`` for the mean pose, else a path: our
            ``.safetensors``, or a checkpoint of SPIN, CLIFF or HMR 2.0 (``.ckpt``).
        body: The body to regress.
        landmarks: Also tell networks the detector's 3D landmarks. Ours are taught with and without, and answer better
            without those of the embedded detector (docs/training.md).
        looks: Let ``keypoints`` look at everybody six times, turned and mirrored, and ``proxy`` twice, mirrored
            (`fitloop.regressor.several_looks`); else once.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or its weights belong to another body.
    """
    if str(source) == "mean":
        return mean_regressor(body)
    return NetworkRegressor(str(source), load_weights(weights_path(source)), body, landmarks, looks)


def weights_path(source: str | Path) -> Path:
    """The file of shipped weights by their name, else the path itself."""
    return asset_path(f"{source}.safetensors", ASSETS) if str(source) in SHIPPED else Path(source)


class Placer:
    """Places bodies on whatever keypoints the body knows.

    Attributes:
        columns: These keypoints among `KEYPOINT_NAMES`.
        kinematics: Bodies to these keypoints.
    """

    def __init__(self, body: Body) -> None:
        known = {*body.joint_names, *body.landmark_names, *DERIVED_LANDMARKS}
        self.columns = [number for number, name in enumerate(KEYPOINT_NAMES) if name in known]
        self.kinematics = KeypointKinematics(body, tuple(KEYPOINT_NAMES[number] for number in self.columns))

    def __call__(self, params: BodyParams, detections: Detections, camera: Camera) -> BodyParams:
        keypoints, confidence = detections.keypoints[:, self.columns], detections.confidence[:, self.columns]
        return place_body(params, self.kinematics, keypoints, confidence, camera)


@dataclass(frozen=True)
class NetworkInput:
    """What a network reads of some people, and what its answer refers to."""

    inputs: Any
    """What the encoder takes."""
    extra: Float[Tensor, "people extra"] | None
    """Numbers about the boxes, for heads that take some."""
    view: View
    """The frame of the answer."""
    detections: Detections
    """Columns ordered as `KEYPOINT_NAMES`."""
    camera: Camera
    """One per person."""


class NetworkRegressor:
    """A trained network."""

    def __init__(self, name: str, weights: Weights, body: Body, landmarks: bool = False, looks: bool = True) -> None:
        """Bind weights to a body.

        Args:
            name: For reports.
            weights: Network and what it belongs to.
            body: Must be the body of the weights.
            landmarks: As for `load_regressor`.
            looks: As for `load_regressor`.

        Raises:
            ValueError: If it is another body.
        """
        weights.check_body(body)
        self.name = name
        self.weights = weights
        self.body = body
        self.landmarks = landmarks
        self.looks = looks and weights.config.encoder in ("keypoints", "proxy")
        self._device = body.template.device
        weights.model.to(self._device).eval()
        self.placer = Placer(body)
        self._mean = rot6d_to_rotmat(weights.model.head.init_pose[0].unflatten(-1, (-1, 6)), weights.config.head.layout)

    @torch.no_grad()
    def __call__(self, image: Image | None, detections: Detections, camera: Camera) -> BodyEstimate:
        """Guess the body of every person; see `Regressor`.

        Raises:
            ValueError: If the encoder needs a photo and there is none.
        """
        return self.answer(self.look(image, detections, camera), self.weights.model)

    def look(self, image: Image | None, detections: Detections, camera: Camera) -> NetworkInput:
        """What the network reads of the people, and what its answer refers to.

        Raises:
            ValueError: If the encoder needs a photo and there is none.
        """
        if not self.landmarks:
            detections = replace(detections, landmarks=None, landmark_confidence=None)
        detections, camera = _prepare(detections, camera, self._device)
        config = self.weights.config
        if config.encoder == "keypoints":
            inputs, view = keypoint_inputs(detections, camera)
        else:
            if image is None:
                raise ValueError(f"The regressor {self.name!r} reads pixels ({config.encoder}); give it the photo.")
            inputs, view = crop_inputs(image, detections, camera, config)
        return NetworkInput(inputs, box_numbers(config.recipe, detections.boxes, camera), view, detections, camera)

    def answer(self, given: NetworkInput, model: HMR) -> BodyEstimate:
        """The bodies that a network means, placed on the keypoints.

        Args:
            given: From `look`.
            model: These weights' network, or one like it.
        """
        detections, camera = given.detections, given.camera
        if self.looks:
            maps = given.inputs.maps if self.weights.config.encoder == "proxy" else None
            said, told = look_several_times(model, Seen(detections, camera, maps), self.body)
        else:
            output = model(given.inputs, given.extra)
            said, told = self.params_of(output, given), uncertainty_of(output)
        params = self.placer(said, detections, camera)
        if self.weights.config.encoder == "keypoints":
            # Of people without keypoints this encoder sees nothing: they get the mean body in their box.
            blind = (detections.confidence > 0).sum(-1) < MIN_KEYPOINTS
            params = where(blind, mean_in_boxes(self.body, self._mean, detections.boxes, camera), params)
            told = None if told is None else where(blind, told.map(lambda spread: torch.full_like(spread, BLIND)), told)
        return BodyEstimate(params, camera, self.body.name, told)

    def params_of(self, output: HMROutput, given: NetworkInput) -> BodyParams:
        """The bodies in the photo's camera frame, where the network puts them; gradients flow to its output."""
        recipe = self.weights.config.recipe
        pelvis = rest_pelvis(self.body, output.betas)
        place = answered_place(recipe, output.weak, given.view, given.detections.boxes, given.camera)
        transl = place - pelvis if recipe.camera_point == "pelvis" else place
        params = BodyParams(output.rotations[:, 0], output.rotations[:, 1:], output.betas, transl)
        return turn_params(params, given.view.rotation.mT, pelvis)


class MeanRegressor:
    """The same pose for everybody: the mean of the mocap, upright, facing the camera, placed on the keypoints."""

    def __init__(self, body: Body, rotations: Float[Tensor, "joints 3 3"]) -> None:
        """Keep the pose.

        Args:
            body: Any body with SMPL's joints.
            rotations: Local rotations in SMPL's order, root first.
        """
        self.name = "mean"
        self.body = body
        self.rotations = rotations.to(body.template)
        self.placer = Placer(body)

    @torch.no_grad()
    def __call__(self, image: Image | None, detections: Detections, camera: Camera) -> BodyEstimate:
        """Place the mean body on every person; see `Regressor`."""
        del image
        detections, camera = _prepare(detections, camera, self.body.template.device)
        boxes = tight_boxes(detections.keypoints, detections.confidence, detections.boxes)
        params = mean_in_boxes(self.body, self.rotations, boxes, camera)
        return BodyEstimate(self.placer(params, detections, camera), camera, self.body.name)


def mean_in_boxes(
    body: Body, rotations: Float[Tensor, "joints 3 3"], boxes: Float[Tensor, "people 4"], camera: Camera
) -> BodyParams:
    """The same pose of the mean shape in every box, upright in the photo, as tall as the box.

    Args:
        body: Any body with SMPL's joints.
        rotations: Local rotations in SMPL's order, root first.
        boxes: x y x y in full-image pixels.
        camera: One per person.
    """
    people = len(boxes)
    view = view_of_boxes(boxes, camera)
    betas = rotations.new_zeros(people, body.num_betas)
    pelvis = rest_pelvis(body, betas)
    # A standing person fills the box: 0.9 is HMR's mean scale.
    weak = rotations.new_tensor([0.9, 0.0, 0.0]).expand(people, 3)
    place = (view.rotation.mT @ weak_to_place(weak, view)[..., None])[..., 0]
    turned = rotations.expand(people, *rotations.shape)
    return BodyParams(turned[:, 0], turned[:, 1:], betas, place - pelvis)


def mean_regressor(body: Body) -> MeanRegressor:
    """Make the regressor that knows nothing but the mean pose."""
    return MeanRegressor(body, mean_rotations())


@lru_cache(maxsize=1)
def mean_rotations() -> Float[Tensor, "joints 3 3"]:
    """Mean of the mocap's local rotations, root upright and facing the camera: where the shipped network starts."""
    with safe_open(asset_path("keypoints.safetensors", ASSETS), framework="pt") as file:
        six = file.get_tensor("head.init_pose").float()
    return rot6d_to_rotmat(six[0].unflatten(-1, (-1, 6)), "interleaved")


def _prepare(detections: Detections, camera: Camera, device: torch.device) -> tuple[Detections, Camera]:
    """One row per person, on the network's device, keypoints by landmark name."""
    if detections.keypoints.ndim != 3:
        raise ValueError(
            f"A regressor takes one row per person, (people, keypoints, 2), got {tuple(detections.keypoints.shape)}."
        )
    people = len(detections.keypoints)
    if camera.focal.ndim == 0:
        camera = Camera(camera.focal.expand(people), camera.principal_point.expand(people, 2))
    if len(camera.focal) != people:
        raise ValueError(
            f"There are {people} people but {len(camera.focal)} cameras; give one for all or one for each."
        )
    detections, camera = detections.to(device, torch.float32), camera.to(device, torch.float32)
    return to_known_landmarks(detections), camera

"""Posed human bodies from photos, by regression and optimisation together.

    import fitloop

    people = fitloop.predict("photo.jpg")
    people.draw().save("overlay.jpg")
    people.save("people.glb")  # turn them around in any 3D viewer
    people.params.body_pose  # (people, 23, 3, 3) rotation matrices

`help(fitloop.NAME)` has an example of each name. What is not here lies in the packages: `fitloop.body`,
`fitloop.detection`, `fitloop.regressor`, `fitloop.fitting`, `fitloop.refinement`, `fitloop.rendering`,
`fitloop.evaluation`, `fitloop.pipelines`.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Union, overload

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from PIL.Image import Image as PillowImage

    from fitloop.body import Body as Body
    from fitloop.body import BodyEstimate as BodyEstimate
    from fitloop.body import BodyParams as BodyParams
    from fitloop.body import Detections as Detections
    from fitloop.body import Image as Image
    from fitloop.body import load_body as load_body
    from fitloop.data import load_image as load_image
    from fitloop.detection import load_detector as load_detector
    from fitloop.evaluation import mpjpe as mpjpe
    from fitloop.evaluation import pa_mpjpe as pa_mpjpe
    from fitloop.fitting import Fit as Fit
    from fitloop.fitting import FitConfig as FitConfig
    from fitloop.fitting import fit as fit
    from fitloop.geometry import Camera as Camera
    from fitloop.pipelines.chain.people import People as People
    from fitloop.pipelines.regress_then_fit import Stages as Stages
    from fitloop.regressor import load_regressor as load_regressor

# A name is imported when it is first used, so that `import fitloop` costs nothing.
_HOMES = {
    **dict.fromkeys(("Body", "BodyEstimate", "BodyParams", "Detections", "Image", "load_body"), "fitloop.body"),
    **dict.fromkeys(("Fit", "FitConfig", "fit"), "fitloop.fitting"),
    **dict.fromkeys(("mpjpe", "pa_mpjpe"), "fitloop.evaluation"),
    "Camera": "fitloop.geometry",
    "People": "fitloop.pipelines.chain.people",
    "Stages": "fitloop.pipelines.regress_then_fit",
    "load_detector": "fitloop.detection",
    "load_image": "fitloop.data",
    "load_regressor": "fitloop.regressor",
}
__all__ = ["predict", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]

Photo = Union["str", "Path", "np.ndarray", "Image", "PillowImage"]


@overload
def predict(photo: "np.ndarray | Image | PillowImage", **options: Any) -> "People": ...
@overload
def predict(photo: "str | Path", **options: Any) -> "Any": ...
@overload
def predict(photo: Iterable["Photo"], **options: Any) -> Iterator["People"]: ...
def predict(photo: Any, **options: Any) -> Any:
    """Find the people of a photo, guess their bodies, fit and refine them.

        people = fitloop.predict("photo.jpg")
        people = fitloop.predict("photo.jpg", refine=False, field_of_view=60.0)
        for people in fitloop.predict("folder/"):
            people.save(f"{people.name}.glb")

    Args:
        photo: A file; pixels (height, width, 3), RGB, uint8; an `Image`; a picture of Pillow; or a folder or any
            iterable of these.
        **options: Those of the command line (`fitloop run --help`), with underscores. The networks that they name are
            loaded once and kept for the next call.

    Returns:
        The `People` of the photo, one row per person, none where nobody was found. For a folder or an iterable, an
        iterator that works on one photo at a time; a file that is no readable photo ends it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an option does not fit, or the file is no readable photo.
        TypeError: If there is no such option, or the photo is something else.
    """
    from pathlib import Path

    from fitloop.pipelines.chain.config import StagesConfig

    _check_options(StagesConfig, options)
    stages = _stages(StagesConfig(**options))
    if isinstance(photo, str | Path) and Path(photo).is_dir():
        return _predict_folder(Path(photo), stages)
    # Pixels can be iterated over as well, but one row of them is no photo.
    if isinstance(photo, Iterable) and not isinstance(photo, str) and not hasattr(photo, "shape"):
        return (_predict(one, stages) for one in photo)
    return _predict(photo, stages)


def _check_options(config: type, options: dict[str, Any]) -> None:
    from dataclasses import fields
    from difflib import get_close_matches

    known = [field.name for field in fields(config)]
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise TypeError(f"fitloop.predict has no option {name!r}; {meant}It has {', '.join(known)}.")


@lru_cache(maxsize=2)
def _stages(config: Any) -> "Stages":
    from fitloop.pipelines.regress_then_fit import Stages

    return Stages(config)


def _predict(photo: Any, stages: "Stages", name: str | None = None) -> "People":
    from pathlib import Path

    import numpy as np
    from PIL import ImageOps
    from PIL.Image import Image as PillowImage

    from fitloop.body import Image
    from fitloop.pipelines.chain.photo import as_image
    from fitloop.pipelines.regress_then_fit import predict

    if isinstance(photo, PillowImage):
        photo = np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))
    if not isinstance(photo, str | Path | np.ndarray | Image):
        raise TypeError(
            "fitloop.predict takes a file, a folder, pixels (a NumPy array (height, width, 3), RGB, uint8), a picture "
            f"of Pillow, a fitloop.Image, or an iterable of these; got {type(photo).__name__}."
        )
    return predict(as_image(photo, stages.config, name), stages)


def _predict_folder(folder: "Path", stages: "Stages") -> Iterator["People"]:
    import logging

    from fitloop.data import UnreadableImage, find_images

    for name in find_images(folder):
        try:
            people = _predict(folder / name, stages, name)
        except UnreadableImage as error:
            logging.getLogger("fitloop").warning("%s is passed over: %s", name, error)
            continue
        yield people


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fitloop' has no attribute {name!r}; it has {', '.join(__all__)}.")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

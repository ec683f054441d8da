"""Which layout a file has, by its content, and who reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fitloop.body.documents import bare_stem, read_document
from fitloop.detection import box_files, coco, coco_results, mmpose_predictions, openpose
from fitloop.detection.listed import BadKeypoints, Listing, told
from fitloop.detection.own_results import read_own_results

ENDINGS = ("_keypoints", "_openpose", "_bbox", "_alphapose")
"""What tools add to the photo's name for their file of one photo."""


class Layout(NamedTuple):
    """How files of one kind are known and read."""

    is_this: Callable[[Any], bool]
    read: Callable[[Any, Path, str], Listing]
    """From the content, the file, and the name of the photo that the file would be of."""


LAYOUTS = (
    Layout(openpose.is_photo, openpose.read_photo),
    Layout(coco.is_annotations, coco.read_annotations),
    Layout(mmpose_predictions.is_predictions, mmpose_predictions.read_predictions),
    Layout(openpose.is_photos, openpose.read_photos),
    Layout(coco_results.is_results, coco_results.read_results),
    Layout(box_files.is_box, box_files.read_box),
    Layout(box_files.is_boxes, box_files.read_boxes),
)
"""The first that knows a content reads it."""


def read_file(path: Path) -> Listing:
    """Read one file: photos by name, path or number; a file of one photo lists it under the photo's name.

    Raises:
        BadKeypoints: If it is broken, in no known layout, or nothing in it can be used.
    """
    name = photo_name(path)
    if path.suffix.lower() == ".npz":
        return read_own_results(path, name)
    try:
        content = read_document(path)
    except (ValueError, FileNotFoundError) as error:
        raise BadKeypoints(str(error)) from error
    for layout in LAYOUTS:
        if layout.is_this(content):
            try:
                return layout.read(content, path, name).checked()
            except BadKeypoints as error:
                raise BadKeypoints(told([str(error)])) from error
    raise BadKeypoints(
        f"{path} is in no known format: it holds {_described(content)}. Give OpenPose, AlphaPose or mmpose JSON, COCO "
        'annotations or results, boxes as {"photo.jpg": [[x, y, width, height], ...]}, or results of this '
        "program (.npz)."
    )


def photo_name(path: Path) -> str:
    """Name, without ending, of the photo that a file would be of."""
    name = bare_stem(path)
    return next((name[: -len(ending)] for ending in ENDINGS if name.endswith(ending)), name)


def _described(content: Any) -> str:
    if isinstance(content, dict):
        keys = ", ".join(map(repr, list(content)[:5]))
        return f"a record of {keys}" + (", ..." if len(content) > 5 else "") if content else "an empty record"
    if isinstance(content, list):
        return f"a list of {len(content)}, the first {_described(content[0])}" if content else "an empty list"
    return f"a single {type(content).__name__}"

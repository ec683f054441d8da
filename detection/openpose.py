"""OpenPose's JSON: one file per photo, any number of people."""

from typing import Any

from fitloop.detection.listed import BadKeypoints, ListedPerson, ListedPhoto, triplets

_CONVENTIONS = {25: "body25", 18: "coco18"}
"""OpenPose's models by their number of keypoints."""


def is_openpose(content: Any) -> bool:
    """Whether a JSON file's content is one photo of OpenPose."""
    return isinstance(content, dict) and "people" in content


def read_openpose(content: dict[str, Any], source: str) -> ListedPhoto:
    """Read one photo; the number of keypoints says whether the model was BODY_25 or COCO-18.

    Hands and faces are left aside. ``people: []`` is a photo without people.

    Raises:
        BadKeypoints: If the content is not what OpenPose writes.
    """
    if not isinstance(content["people"], list):
        raise BadKeypoints(f"{source}: 'people' must be a list, got {type(content['people']).__name__}.")
    people, counts = [], set()
    for index, person in enumerate(content["people"]):
        what = f"{source}: pose_keypoints_2d of person {index}"
        values = person.get("pose_keypoints_2d", person.get("pose_keypoints")) if isinstance(person, dict) else None
        if values is None:
            raise BadKeypoints(f"{what} is missing; is this a file that OpenPose wrote?")
        people.append(ListedPerson(triplets(values, what)))
        counts.add(len(triplets(values, what)))
    if len(counts) > 1 or not counts <= set(_CONVENTIONS):
        found = " and ".join(str(count) for count in sorted(counts))
        raise BadKeypoints(f"{source} has {found} keypoints per person; known are 25 (BODY_25) and 18 (COCO).")
    return ListedPhoto(tuple(people), _CONVENTIONS[counts.pop()] if counts else "body25")

"""Several looks at one person: a square that is turned along the body, and what the looks agree on."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from fitloop.body.keypoints import MEDIAPIPE_33
from fitloop.detection.landmarks import LandmarkNetwork, Place, Pose
from fitloop.detection.overlap import agreement
from fitloop.detection.pixels import PhotoPieces

_FLIP = list(MEDIAPIPE_33.flip)
_SMALLER = 0.88
"""Side of the second square over that of the first."""
_SMALL = 128.0
"""Pixels; a square of less than half the network's input shows nothing new at another size."""
_TURNS = 3
"""Looks, at most, until the square stays where it is."""
_UNSURE = 0.6
"""Below this agreement of two looks the person may be head over heels."""
_AGREED = 0.75


@dataclass(frozen=True)
class Person:
    """What several looks at one person make of them."""

    pose: Pose
    """Mean of the looks that take the same side for left; mask and square of the first."""
    spread: Float[np.ndarray, "33"]
    """Root mean square distance of all looks to the mean, over the side of the square."""
    agreement: float
    """Mean agreement of the looks with the first, in [0, 1]."""
    one_sided: float
    """Share of the looks that take the same side for left."""


def stays(place: Place, following: Place) -> bool:
    """Whether the square that would fit better is the same one but for a few percent."""
    moved = np.linalg.norm(following.center - place.center) / place.side
    grown = abs(np.log(following.side / place.side))
    turned = abs((following.angle - place.angle + np.pi) % (2.0 * np.pi) - np.pi)
    return bool(moved < 0.06 and grown < 0.12 and turned < 0.15)


def settle(network: LandmarkNetwork, photo: PhotoPieces, first: Pose, threshold: float = 0.8) -> Pose:
    """Look again, at most three times, where the last look says the person is, until the square stays there.

    Args:
        network: Sees one person.
        photo: The photo.
        first: A first look.
        threshold: A look that is less sure of a person is the last one, unless it is the first.
    """
    pose = first
    for turn in range(_TURNS):
        moved = not stays(pose.place, pose.next_place)
        if not moved if pose.score >= threshold else turn > 0:
            break
        pose = network(photo, pose.next_place)
    return pose


def more_looks(network: LandmarkNetwork, photo: PhotoPieces, direct: Pose, mirrored: Pose) -> list[Pose]:
    """The looks of an accepted person: two sizes of the square, each also in the mirror; of small people one size."""
    if direct.place.side < _SMALL:
        return [direct, mirrored]
    smaller = replace(mirrored.place, side=_SMALLER * mirrored.place.side)
    return [direct, mirrored, network(photo, smaller), network(photo, smaller, mirrored=True)]


def person_of(looks: list[Pose]) -> Person:
    """Join looks at one person; those that exchange left and right against the majority count as doubt only.

    Args:
        looks: At least one; of a draw the first look's side wins.
    """
    first = looks[0]
    same = np.array([_takes_same_side(first, look) for look in looks])
    majority = same if same.sum() * 2 >= len(looks) else ~same
    kept = [look for look, counts in zip(looks, majority, strict=True) if counts]
    pose = replace(
        kept[0],
        **{
            name: np.mean([getattr(look, name) for look in kept], axis=0)
            for name in ("keypoints", "visibility", "presence", "peak", "unity", "landmarks")
        },
        score=float(np.mean([look.score for look in looks])),
    )
    off = np.array([look.keypoints for look in looks]) - pose.keypoints
    spread = np.sqrt(np.square(off).sum(-1).mean(0)) / pose.place.side
    others = [agreement(first, look) for look in looks[1:]]
    return Person(pose, spread, float(np.mean(others)) if others else 1.0, float(majority.mean()))


def _takes_same_side(first: Pose, second: Pose) -> bool:
    exchanged = replace(second, keypoints=second.keypoints[_FLIP])
    return agreement(first, second) >= agreement(first, exchanged)


def see_in_square(network: LandmarkNetwork, photo: PhotoPieces, square: Place, inside: "Inside") -> list[Pose]:
    """See the person around whom a square was drawn, whichever way they are turned.

    Args:
        network: Sees one person.
        photo: The photo.
        square: Upright, around the person.
        inside: Whether a look is still at this person.
    """
    pair = _pair(network, photo, square, inside)
    return more_looks(network, photo, *turned_right(network, photo, pair, square, inside))


def turned_right(
    network: LandmarkNetwork, photo: PhotoPieces, pair: tuple[Pose, Pose], square: Place, inside: "Inside"
) -> tuple[Pose, Pose]:
    """Try the other three turns of a square where a look and its mirrored twin disagree; agreement decides.

    Args:
        network: Sees one person.
        photo: The photo.
        pair: A look and one into the mirror.
        square: Around the person, turned as the pair's first look was.
        inside: Whether a look is still at this person.
    """
    best = pair
    for turn in (np.pi, np.pi / 2.0, -np.pi / 2.0):
        if agreement(*best) >= (_UNSURE if best is pair else _AGREED):
            break
        other = _pair(network, photo, replace(square, angle=square.angle + turn), inside)
        best = max(best, other, key=_trust)
    return best


def _trust(pair: tuple[Pose, Pose]) -> float:
    return agreement(*pair) * min(pair[0].score, pair[1].score)


def _pair(network: LandmarkNetwork, photo: PhotoPieces, square: Place, inside: "Inside") -> tuple[Pose, Pose]:
    """A settled look and one into the mirror, from a square of a given turn."""
    pose = network(photo, square)
    for _ in range(_TURNS):
        if stays(pose.place, pose.next_place) or not inside(pose):
            break
        following = network(photo, pose.next_place)
        if not inside(following) or following.score < 0.5 * pose.score:
            break
        pose = following
    place = pose.next_place if inside(pose) else pose.place
    return pose, network(photo, place, mirrored=True)


@dataclass(frozen=True)
class Inside:
    """Says whether a look is at the person of a box (x y x y, full-image pixels), by the hips it gives."""

    box: Float[np.ndarray, "4"]

    def __call__(self, pose: Pose) -> bool:
        """Whether the hips lie in the box made a quarter wider all around."""
        extent = self.box[2:] - self.box[:2]
        hips = pose.next_place.center
        return bool((hips >= self.box[:2] - 0.25 * extent).all() and (hips <= self.box[2:] + 0.25 * extent).all())

"""The search for people in one photo: what speaks most for a person is looked at first, what is known is left alone."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from fitloop.detection.confidence import right
from fitloop.detection.faces import FaceDetector
from fitloop.detection.landmarks import LandmarkNetwork, Place, Pose, place_of
from fitloop.detection.looks import Person, more_looks, person_of, settle, stays
from fitloop.detection.overlap import (
    agreement,
    common_share,
    face_agrees,
    head_agrees,
    mask_in_photo,
    quality,
    quality_bound,
)
from fitloop.detection.painted import PaintedPieces
from fitloop.detection.person_detector import Candidates, PersonDetector, suppress, tiles_of
from fitloop.detection.pixels import PhotoPieces

_SAME_LOOK = 0.7
"""A look that agrees this well with an earlier one is at the same person, or at the same nobody."""
_SURE = 0.35
"""A body of this quality is not looked for again; of others a better one may be found from another candidate."""
_MOSTLY_HIDDEN = 0.7
"""A body that lies to this share on people who were painted over is what is left of them."""
_TILE_OVERLAP = 0.2
_FULL = 0.4
"""A tile with this share of it covered by known bodies has no room for another one that it would show."""
_LARGEST = 1.5
"""A body larger than this many sides of a fine tile is left to the coarse tiles, which show more of it."""
_FLAT = 6.0
"""Standard deviation of the grey values, of 255, below which a tile shows a wall or the sky."""


@dataclass(frozen=True)
class SearchConfig:
    """What is looked at, and what counts as a person."""

    coarse: float = 0.6
    """Side of the tiles that are always searched, over the photo's longer side, beside the whole photo."""
    fine: float = 0.4
    """Side of the tiles that are searched where known bodies leave room; 0 for none."""
    person_threshold: float = 0.1
    """Candidates of the person detector below this probability are dropped."""
    sure: float = 0.35
    """Candidates of the coarse tiles of at least this probability are looked at before finer tiles are searched."""
    patience: int = 7
    """So many candidates in a row that are nobody, or somebody known, end the looking."""
    first_look: float = 0.2
    """A first look that gives less than this probability is not followed."""
    pose_threshold: float = 0.2
    """Candidates that the landmark network gives less than this probability are dropped."""
    quality_threshold: float = 0.07
    """Bodies below this quality (see `fitloop.detection.overlap.quality`) are dropped: less finds more people, and
    more that are none."""
    face_threshold: float = 0.7
    """A face of at least this probability where a pose has its head vouches for the pose, whatever its quality."""
    behind: float = 0.8
    """Candidates of at least this probability that are nobody's head are looked at again with known people painted
    over; more than 1 for none."""
    behind_right: float = 0.2
    """People seen so are dropped if fewer keypoints than this share are expected to be right: what is left of a painted
    person may look like one."""
    least_right: float = 0.05
    """People of whom fewer keypoints than this share are expected to be right, hidden ones included, are dropped."""
    same_person: float = 0.5
    """Bodies whose masks have this share of the smaller one in common are one person."""


@dataclass(frozen=True)
class Known:
    """A person who was found."""

    direct: Pose
    mirrored: Pose
    mask: Bool[np.ndarray, "rows columns"]
    """Over the whole photo, see `fitloop.detection.overlap.mask_in_photo`."""
    quality: float
    person: Person | None = None
    """What all looks make of them, where that had to be known already."""


class Search:
    """Looks for the people of one photo."""

    def __init__(
        self,
        photo: PhotoPieces,
        people: PersonDetector,
        faces: FaceDetector,
        landmarks: LandmarkNetwork,
        config: SearchConfig,
    ) -> None:
        self._photo, self._people, self._landmarks, self._config = photo, people, landmarks, config
        self._faces = faces(photo, tiles_of(*photo.size, (), _TILE_OVERLAP), config.face_threshold)
        self._known: list[Known] = []
        self._refused: list[Place] = []
        self._led_to_sure: list[Place] = []

    def __call__(self) -> list[Person]:
        """Find the people, in the order in which they were found."""
        config = self._config
        coarse = self._in_tiles(tiles_of(*self._photo.size, (config.coarse,) if config.coarse else (), _TILE_OVERLAP))
        coarse = suppress(Candidates.joined([coarse, self._faces]), 0.3)
        sure = coarse.scores >= config.sure
        self._follow(coarse[sure])
        fine = tiles_of(*self._photo.size, (config.fine,) if config.fine else (), _TILE_OVERLAP)[1:]
        room = [tile for tile in fine if self._has_room(tile)]
        weak = Candidates.joined([coarse[~sure], self._in_tiles(np.array(room).reshape(-1, 3), _LARGEST)])
        weak = suppress(weak, 0.3, together=True)
        self._follow(weak)
        self._look_behind(Candidates.joined([self._faces, coarse, weak]))
        return [known.person or self._person(self._photo, known) for known in self._known]

    def _person(self, photo: PhotoPieces, known: Known) -> Person:
        return person_of(more_looks(self._landmarks, photo, known.direct, known.mirrored))

    def _in_tiles(self, tiles: Float[np.ndarray, "tiles 3"], largest: float = np.inf) -> Candidates:
        return self._people(self._photo, tiles, self._config.person_threshold, largest)

    def _has_room(self, tile: Float[np.ndarray, "3"]) -> bool:
        """Whether a tile (x, y of the corner, side) shows something, and more than the bodies that are known."""
        if self._photo.grey(tile).std() < _FLAT:
            return False
        taken = np.zeros((1, 1), dtype=bool)
        for known in self._known:
            taken = taken | known.mask
        cell = max(self._photo.size) / max(taken.shape)
        low, high = np.maximum(tile[:2], 0.0) / cell, (tile[:2] + tile[2]) / cell
        part = taken[int(low[1]) : int(np.ceil(high[1])), int(low[0]) : int(np.ceil(high[0]))]
        return bool(part.mean() < _FULL) if part.size and len(self._known) else True

    def _follow(self, candidates: Candidates) -> None:
        """Look at candidates, the likeliest first, until too many in a row were nobody."""
        in_vain = 0
        for row in np.argsort(-candidates.scores, kind="stable"):
            place = place_of(*candidates.points[row, :2])
            if in_vain >= self._config.patience or self._is_known(place, candidates.faces[row]):
                continue
            found = self._person_at(place, float(candidates.scores[row]))
            if self._take(found):
                in_vain = 0
                self._led_to_sure += [place] if found is not None and found.quality >= _SURE else []
            else:
                in_vain += 1
                self._refused.append(place)

    def _is_known(self, place: Place, face: Float[np.ndarray, "4"]) -> bool:
        if any(stays(place, refused) for refused in self._refused):
            return True
        return any(known.quality >= _SURE and self._explains(known, place, face) for known in self._known)

    def _explains(self, known: "Known", place: Place, face: Float[np.ndarray, "4"]) -> bool:
        """Whether a candidate is a known body: its head is that of the body, or it lies on it and is of its size."""
        larger = place.side / known.direct.next_place.side
        if not 0.4 < larger < 2.5:
            return False
        points = ((face[:2] + face[2:]) / 2.0, place.center)
        on_body = all(at_point(known.mask, point, self._photo.size) for point in points)
        return head_agrees(known.direct, face) or (on_body and 0.5 < larger < 2.0)

    def _look_behind(self, candidates: Candidates) -> None:
        """Look at likely candidates that are no known body's head with the known bodies painted over."""
        if not self._known:
            return
        # What led to a body for sure is that body; nobody else is behind it.
        looked = list(self._led_to_sure)
        for row in np.argsort(-candidates.scores, kind="stable"):
            place = place_of(*candidates.points[row, :2])
            if candidates.scores[row] < self._config.behind or any(stays(place, other) for other in looked):
                continue
            if any(head_agrees(known.direct, candidates.faces[row]) for known in self._known):
                continue
            looked.append(place)
            found = self._person_behind(place)
            if found is not None:
                self._known.append(found)

    def _person_behind(self, place: Place) -> "Known | None":
        """Who is seen when the known bodies are painted over, unless it is what is left of them."""
        config, photo = self._config, PaintedPieces(self._photo, [known.direct for known in self._known])
        first = self._landmarks(photo, place)
        if not self._may_be_behind(first):
            return None
        direct = settle(self._landmarks, photo, first, config.pose_threshold)
        if not self._may_be_behind(direct):
            return None
        mirrored = self._landmarks(photo, direct.next_place, mirrored=True)
        share = quality(direct, mirrored)
        if share < config.quality_threshold:
            return None
        known = Known(direct, mirrored, mask_in_photo(direct, *self._photo.size), share)
        person = self._person(photo, known)
        return replace(known, person=person) if right(person).mean() >= config.behind_right else None

    def _may_be_behind(self, look: Pose) -> bool:
        """Whether a look with people painted over is at a person, and most of that person is not painted over."""
        if look.score < self._config.pose_threshold and not face_agrees(look, self._faces.faces):
            return False
        mask = mask_in_photo(look, *self._photo.size)
        painted = np.any([known.mask for known in self._known], axis=0)
        if (mask & painted).sum() >= _MOSTLY_HIDDEN * mask.sum():
            return False
        return not any(agreement(look, known.direct) > _SAME_LOOK for known in self._known)

    def _person_at(self, place: Place, probability: float) -> "Known | None":
        """A settled look and one into the mirror, if they are of a person who is not known for sure yet."""
        config = self._config
        first = self._landmarks(self._photo, place)
        if max(first.score, probability) < config.first_look or self._is_better_known(first, _SURE):
            return None
        faced = face_agrees(first, self._faces.faces)
        if not faced and quality_bound(first) < 0.5 * config.quality_threshold:
            return None
        direct = settle(self._landmarks, self._photo, first, config.pose_threshold)
        bound = quality_bound(direct)
        if direct.score < config.pose_threshold or self._is_better_known(direct, min(_SURE, bound)):
            return None
        faced = face_agrees(direct, self._faces.faces)
        if not faced and bound < config.quality_threshold:
            return None
        mirrored = self._landmarks(self._photo, direct.next_place, mirrored=True)
        share = quality(direct, mirrored)
        # A face settles who it is: no limb that looks like a body may take the place of its owner.
        share = max(share, _SURE) if faced else share
        if share < config.quality_threshold:
            return None
        return Known(direct, mirrored, mask_in_photo(direct, *self._photo.size), share)

    def _take(self, found: "Known | None") -> bool:
        """Keep a body, unless a better one of the same person is known; a worse one makes room. Whether it is kept."""
        if found is None:
            return False
        rivals = [known for known in self._known if self._same(known, found.direct, found.mask)]
        if any(rival.quality >= found.quality for rival in rivals):
            return False
        self._known = [known for known in self._known if not any(known is rival for rival in rivals)] + [found]
        return True

    def _is_better_known(self, look: Pose, share: float) -> bool:
        """Whether a look is at a known person of this quality or more."""
        rivals = [known for known in self._known if known.quality >= share]
        if not rivals:
            return False
        mask = mask_in_photo(look, *self._photo.size)
        return any(self._same(known, look, mask) for known in rivals)

    def _same(self, known: "Known", look: Pose, mask: Bool[np.ndarray, "rows columns"]) -> bool:
        common = common_share(mask, known.mask)
        return common >= self._config.same_person or agreement(look, known.direct) > _SAME_LOOK


def at_point(mask: Bool[np.ndarray, "rows columns"], point: Float[np.ndarray, "2"], size: tuple[int, int]) -> bool:
    """Whether a mask over a photo covers a point, or, of a point outside, the photo's nearest one."""
    cell = max(size) / max(mask.shape)
    column, row = (np.asarray(point) / cell).astype(int)
    return bool(mask[row.clip(0, mask.shape[0] - 1), column.clip(0, mask.shape[1] - 1)])

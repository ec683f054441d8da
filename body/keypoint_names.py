"""Keypoints known by what they are called: "Left Shoulder", `LShoulder` and ``shoulder_l`` are one point."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from fitloop.body.keypoints import CONVENTIONS, Convention

FEWEST_KNOWN = 8
"""Names of which fewer are known say too little about a body."""

_SIDED = {
    "eye": ("eye",),
    "eye_inner": ("eyeinner", "innereye"),
    "eye_outer": ("eyeouter", "outereye"),
    "ear": ("ear",),
    "mouth": ("mouth", "mouthcorner"),
    "collar": ("collar", "clavicle", "collarbone"),
    "shoulder": ("shoulder", "sho", "shldr", "arm", "upperarm"),
    "elbow": ("elbow", "elb", "elbo", "forearm", "lowerarm"),
    "wrist": ("wrist", "wri"),
    "hand": ("hand",),
    "hip": ("hip", "upleg", "upperleg", "thigh"),
    "knee": ("knee", "kne", "leg", "lowerleg", "calf", "shin"),
    "ankle": ("ankle", "ank", "ankel"),
    "foot": ("foot",),
    "heel": ("heel",),
    "big_toe": ("bigtoe", "footindex", "hallux"),
    "small_toe": ("smalltoe", "littletoe"),
    "pinky": ("pinky",),
    "index": ("index",),
    "thumb": ("thumb",),
    **{f"{finger}_tip": (f"{finger}tip",) for finger in ("thumb", "index", "middle", "ring", "pinky")},
}
"""Points of either side, and how they are written without the side."""
_MIDDLE = {
    "nose": ("nose", "nosetip"),
    "neck": ("neck", "upperneck", "headbottom", "neckbase", "midshoulder", "shouldercenter", "centershoulder"),
    "thorax": ("thorax", "chest"),
    "spine": ("spine", "torso", "belly", "spinemid", "midspine", "abdomen"),
    "spine1": ("spine1",),
    "spine2": ("spine2",),
    "spine3": ("spine3",),
    "head": ("head", "headcenter"),
    "head_top": ("headtop", "tophead", "topofhead", "crown"),
    "jaw": ("jaw", "necknose", "noseneck"),
    "mid_hip": ("midhip", "hipmid", "hip", "hips", "pelvis", "root", "hipcenter", "centerhip", "midhips", "middlehip"),
}
_SIDES = {"left": ("left", "l", "lt"), "right": ("right", "r", "rt")}

_SEVERAL_IN_ONE = ("spin24", "spin49")
"""Conventions put together of others; only files that spell them exactly have them."""
_MEANINGLESS = re.compile(r"(?:kp|kpt|keypoint|joint|point|landmark|pt|p|j|k)?s?\d*")
_AROUND = re.compile(r"^(?:person|human|body|keypoint|kpt|kp|joint|landmark)?\d*|(?:joint|keypoint)$")
"""What tools write before and after the name itself."""
_NO_PERSON = re.compile(r"paw|hoof|tailbase|tailstart|tailend|roottail|rootoftail|withers|wing|beak")


def _spellings() -> dict[str, str]:
    known = {spelling: name for name, spellings in _MIDDLE.items() for spelling in spellings}
    for side, shorts in _SIDES.items():
        for part, spellings in _SIDED.items():
            for short in shorts:
                known |= {written: f"{side}_{part}" for s in spellings for written in (short + s, s + short)}
    return known


_KNOWN = _spellings()


def _bare(text: str) -> str:
    """Letters and digits alone, in lower case; numbers in front ("05_neck") and words such as "joint" go."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = re.sub(r"^\s*\d+[\s_.:)-]+", "", plain)
    return "".join(re.findall(r"[^\W_]+", plain))


def known_name(text: str) -> str | None:
    """Name a keypoint as this project does, whatever its spelling, or None if it is not known.

    Case, spaces, underscores, hyphens, and where the side is written do not matter: "Right_Knee", ``RKnee``,
    ``knee.r`` are ``right_knee``. The pelvis is ``mid_hip``, however it is called.
    """
    bare = _bare(text)
    return _KNOWN.get(bare) or _KNOWN.get(_AROUND.sub("", bare))


def say_nothing(names: Sequence[str]) -> bool:
    """Whether the names are mere numbers ("0", "kp_1", "") that say nothing about what the keypoints are."""
    return all(_MEANINGLESS.fullmatch(_bare(name)) for name in names)


@dataclass(frozen=True)
class NamedColumns:
    """Which column of a file is which keypoint of a convention."""

    convention: Convention
    columns: tuple[int | None, ...]
    """For each keypoint of the convention the file's column; None where the file has no such point."""
    unknown: tuple[str, ...]
    """Names of the file that the convention has no keypoint for."""

    @property
    def in_order(self) -> bool:
        """Whether the file has the convention's keypoints in the convention's order."""
        return self.columns == tuple(range(len(self.columns)))


_ALSO: dict[str, tuple[dict[str, str], ...]] = {
    "h36m17": tuple(
        {"jaw": jaw, "head_top": head, "neck": neck, "spine": spine}
        for neck in ("neck", "thorax")
        for jaw in ("jaw", "nose", "neck")
        for spine in ("spine", "spine1")
        for head in ("head_top", "head")
    ),
    "mpii16": ({"head_top": "head"},),
    "lsp14": ({"head_top": "head"},),
    "halpe26": ({"head_top": "head"},),
    "3dhp17": ({"head": "head_top"}, {"head": "head_top", "jaw": "nose"}),
}
"""Keypoints of a convention that files of the same kind call by the name of another point."""


def columns_of(names: Sequence[str], convention: Convention | str) -> list[int | None]:
    """Find the keypoints of a convention among names.

    Args:
        names: What a file's columns are called, in order, in any spelling.
        convention: The convention to bring them into, or its name.

    Returns:
        For each keypoint of the convention the column, None where no name fits. Of two columns with one meaning the
        one that is spelled as the convention spells it is taken; if none is, neither is.

    Raises:
        ValueError: If the convention is unknown.
    """
    table = _table(convention)
    same = _same_layout(names, table)
    return list(range(len(table))) if same else max(_fits(names, table), key=_found)


def convention_of(names: Sequence[str]) -> NamedColumns:
    """Choose the convention that gives most of the names a place.

    Raises:
        ValueError: If fewer than eight names are known, or an animal has them; says what came and what is known.
    """
    exact = [table for table in CONVENTIONS.values() if table.keypoints == tuple(names)]
    others = [table for table in CONVENTIONS.values() if table.name not in _SEVERAL_IN_ONE]
    _, table, columns = max((_ranked(names, table) for table in exact or others), key=lambda ranked: ranked[0])
    told = ", ".join(str(name) for name in list(names)[:6]) + (", ..." if len(names) > 6 else "")
    if any(_NO_PERSON.search(_bare(name)) for name in names):
        raise ValueError(f"the keypoints are called {told}: those of an animal, not of a person.")
    if _found(columns) < FEWEST_KNOWN:
        raise ValueError(
            f"the keypoints are called {told}; {_found(columns)} of these {len(names)} names belong to one of the "
            f"known conventions ({', '.join(CONVENTIONS)}), and at least {FEWEST_KNOWN} must: name them as "
            f"{', '.join(CONVENTIONS['coco17'].keypoints[:6])}, ..."
        )
    used = {column for column in columns if column is not None}
    return NamedColumns(table, tuple(columns), tuple(str(n) for i, n in enumerate(names) if i not in used))


def _table(convention: Convention | str) -> Convention:
    if isinstance(convention, Convention):
        return convention
    if convention not in CONVENTIONS:
        raise ValueError(f"Unknown keypoint convention {convention!r}; known: {', '.join(CONVENTIONS)}.")
    return CONVENTIONS[convention]


def _same_layout(names: Sequence[str], table: Convention) -> bool:
    """Whether every name that is known stands where the convention has it, and none is missing."""
    if len(names) != len(table):
        return False
    ours = [known_name(keypoint) for keypoint in table.keypoints]
    theirs = [known_name(name) for name in names]
    return any(ours) and ours == theirs


def _fits(names: Sequence[str], table: Convention) -> list[list[int | None]]:
    """Columns by each of the vocabularies in which a convention is written."""
    found = _meanings(names)
    own = {keypoint: known_name(keypoint) for keypoint in table.keypoints}
    written: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        written.setdefault(_bare(name), []).append(column)

    def place(keypoint: str, meaning: str | None) -> int | None:
        exact = written.get(_bare(keypoint), []) if meaning == own[keypoint] else []
        columns = found.get(meaning, []) if meaning is not None else []
        chosen = exact if len(exact) == 1 else columns
        return chosen[0] if len(chosen) == 1 else None

    vocabularies = ({}, *_ALSO.get(table.name, ()))
    return [[place(keypoint, also.get(keypoint, own[keypoint])) for keypoint in own] for also in vocabularies]


def _meanings(names: Sequence[str]) -> dict[str, list[int]]:
    """Columns by what they mean; where no ankle (wrist) is named, the foot (hand) is it."""
    known = [known_name(name) for name in names]
    for end, joint in (("foot", "ankle"), ("hand", "wrist")):
        if f"left_{joint}" not in known and f"right_{joint}" not in known:
            known = [
                name.replace(f"_{end}", f"_{joint}") if name and name.endswith(f"_{end}") else name for name in known
            ]
    found: dict[str, list[int]] = {}
    for column, name in enumerate(known):
        if name is not None:
            found.setdefault(name, []).append(column)
    return found


def _found(columns: Sequence[int | None]) -> int:
    return len({column for column in columns if column is not None})


def _ranked(names: Sequence[str], table: Convention) -> tuple[tuple[int, int, int], Convention, list[int | None]]:
    columns = columns_of(names, table)
    exact = _found(_fits(names, table)[0])
    return (_found(columns), exact, -len(table)), table, columns

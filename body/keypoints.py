"""Named keypoint conventions: what each number of a detector or data set means on a body.

A *landmark* is a point that a body model can place: one of its joints or a named surface point (docs/body.md).
A convention names its keypoints in order and says which landmark each is. A keypoint without a landmark is absent:
it is carried along but never fitted or scored.
"""

from dataclasses import dataclass

from fitloop.body.params import JOINT_NAMES

SURFACE_LANDMARKS = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_mouth", "right_mouth"),
    *("left_eye_inner", "left_eye_outer", "right_eye_inner", "right_eye_outer"),
    *("left_pinky", "left_index", "left_thumb", "right_pinky", "right_index", "right_thumb"),
    *("left_heel", "right_heel", "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe"),
    *("head_top", "neck_lsp", "left_hip_lsp", "right_hip_lsp"),
    *("pelvis_mpii", "thorax_mpii", "spine_h36m", "jaw_h36m", "head_h36m"),
    *("left_thumb_tip", "left_index_tip", "left_middle_tip", "left_ring_tip", "left_pinky_tip"),
    *("right_thumb_tip", "right_index_tip", "right_middle_tip", "right_ring_tip", "right_pinky_tip"),
)


DERIVED_LANDMARKS = {"mid_hip": ("left_hip", "right_hip")}
"""Means of joints, the same on every body."""


def mirrored(name: str) -> str:
    """Name of the same point on the other side of the body."""
    for side, other in (("left", "right"), ("right", "left")):
        if name.startswith(side):
            return other + name[len(side) :]
    return name


@dataclass(frozen=True)
class Convention:
    """An ordered set of keypoints."""

    name: str
    keypoints: tuple[str, ...]
    """Names in order; unique."""
    landmarks: tuple[str | None, ...]
    """What each keypoint is on a body; None where a body has no such point."""
    skeleton: tuple[tuple[str, str], ...] = ()
    """Pairs of keypoints to join in drawings."""

    def __len__(self) -> int:
        return len(self.keypoints)

    def index(self, name: str) -> int:
        """Position of a keypoint.

        Raises:
            ValueError: If the convention has no such keypoint; names the known ones.
        """
        if name not in self.keypoints:
            raise ValueError(f"{self.name} has no keypoint {name!r}; known: {', '.join(self.keypoints)}.")
        return self.keypoints.index(name)

    @property
    def flip(self) -> tuple[int, ...]:
        """Where each keypoint of a mirrored photo comes from."""
        return tuple(self.keypoints.index(mirrored(name)) for name in self.keypoints)


def _sides(*names: str) -> list[str]:
    return [side + name for name in names for side in ("left_", "right_")]


_LIMBS = (
    *(("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist")),
    *(("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist")),
    *(("left_hip", "left_knee"), ("left_knee", "left_ankle")),
    *(("right_hip", "right_knee"), ("right_knee", "right_ankle")),
    *(("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")),
    *(("left_shoulder", "left_hip"), ("right_shoulder", "right_hip")),
)


def _convention(name: str, keypoints: list[str], **renamed: str | None) -> Convention:
    known = {*JOINT_NAMES, *SURFACE_LANDMARKS, *DERIVED_LANDMARKS}
    landmarks = tuple(renamed[k] if k in renamed else (k if k in known else None) for k in keypoints)
    skeleton = tuple((a, b) for a, b in _LIMBS if a in keypoints and b in keypoints)
    return Convention(name, tuple(keypoints), landmarks, skeleton)


_ANNOTATED_HIPS = {"left_hip": "left_hip_lsp", "right_hip": "right_hip_lsp"}

SMPL_24 = Convention("smpl24", JOINT_NAMES, JOINT_NAMES, _LIMBS)

COCO_17 = _convention("coco17", ["nose", *_sides("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")])

_RIGHT_ARM = ["right_shoulder", "right_elbow", "right_wrist"]
_LEFT_ARM = ["left_shoulder", "left_elbow", "left_wrist"]
_RIGHT_LEG = ["right_hip", "right_knee", "right_ankle"]
_LEFT_LEG = ["left_hip", "left_knee", "left_ankle"]
_FACE = ["right_eye", "left_eye", "right_ear", "left_ear"]

COCO_18 = _convention(
    "coco18", ["nose", "neck", *_RIGHT_ARM, *_LEFT_ARM, *_RIGHT_LEG, *_LEFT_LEG, *_FACE], neck="neck_lsp"
)
"""OpenPose's COCO model: COCO with a neck, right side first."""

BODY_25 = _convention(
    "body25",
    [
        *("nose", "neck", *_RIGHT_ARM, *_LEFT_ARM, "mid_hip", *_RIGHT_LEG, *_LEFT_LEG, *_FACE),
        *("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel"),
    ],
    neck="neck_lsp",
)

HALPE_26 = _convention(
    "halpe26",
    [*COCO_17.keypoints, "head_top", "neck", "mid_hip", *_sides("big_toe", "small_toe", "heel")],
    neck="neck_lsp",
)
"""Halpe's body and feet, as AlphaPose and RTMPose have them: COCO, then head, neck, pelvis, feet."""

_FACE_AND_HANDS = [
    *(f"face_{_index}" for _index in range(68)),
    *(f"{_side}_hand_{_index}" for _side in ("left", "right") for _index in range(21)),
]
"""Carried along in their order; a body has no such points."""

HALPE_136 = _convention("halpe136", [*HALPE_26.keypoints, *_FACE_AND_HANDS], neck="neck_lsp")

WHOLEBODY_133 = _convention(
    "wholebody133",
    [
        *COCO_17.keypoints,
        *(f"{_side}_{_part}" for _side in ("left", "right") for _part in ("big_toe", "small_toe", "heel")),
        *_FACE_AND_HANDS,
    ],
)
"""COCO-WholeBody: COCO, feet, 68 points of the face, 21 of each hand."""

_LSP_NAMES = [*_RIGHT_LEG[::-1], *_LEFT_LEG, *_RIGHT_ARM[::-1], *_LEFT_ARM, "neck", "head_top"]
LSP_14 = _convention("lsp14", _LSP_NAMES, neck="neck_lsp", **_ANNOTATED_HIPS)

MPII_16 = _convention(
    "mpii16",
    [
        *(*_RIGHT_LEG[::-1], *_LEFT_LEG, "pelvis", "thorax", "upper_neck", "head_top"),
        *(*_RIGHT_ARM[::-1], *_LEFT_ARM),
    ],
    pelvis="pelvis_mpii",
    thorax="thorax_mpii",
    upper_neck="neck_lsp",
    **_ANNOTATED_HIPS,
)

H36M_17 = _convention(
    "h36m17",
    [
        *("pelvis", *_RIGHT_LEG, *_LEFT_LEG, "spine", "neck", "jaw", "head_top"),
        *(*_LEFT_ARM, *_RIGHT_ARM),
    ],
    pelvis="mid_hip",
    spine="spine_h36m",
    neck="neck_lsp",
    jaw="jaw_h36m",
    head_top="head_h36m",
    **_ANNOTATED_HIPS,
)
"""Human3.6M's 17 joints in the order of VideoPose3D and mmpose: pelvis, legs, spine, head, arms."""

THREE_DHP_17 = _convention(
    "3dhp17",
    [*_LSP_NAMES[:13], "head", "pelvis", "spine", "jaw"],
    neck="neck_lsp",
    head="head_h36m",
    pelvis="pelvis_mpii",
    spine="spine_h36m",
    jaw="jaw_h36m",
    **_ANNOTATED_HIPS,
)
"""MPI-INF-3DHP's 17 test joints in SPIN's order: 13 LSP joints, head, pelvis, spine, jaw."""

MEDIAPIPE_33 = _convention(
    "mediapipe33",
    [
        *(
            "nose",
            "left_eye_inner",
            "left_eye",
            "left_eye_outer",
            "right_eye_inner",
            "right_eye",
            "right_eye_outer",
        ),
        *_sides("ear", "mouth", "shoulder", "elbow", "wrist", "pinky", "index", "thumb"),
        *_sides("hip", "knee", "ankle", "heel", "big_toe"),
    ],
)

_SPIN_TRUTH = [
    *(*_RIGHT_LEG[::-1], *_LEFT_LEG, *_RIGHT_ARM[::-1], *_LEFT_ARM, "neck", "head_top"),
    *("pelvis", "thorax", "spine", "jaw", "head", "nose", "left_eye", "right_eye", "left_ear", "right_ear"),
]
_SPIN_RENAMED = {
    **{"neck": "neck_lsp", "pelvis": "pelvis_mpii", "thorax": "thorax_mpii", "spine": "spine_h36m"},
    **{"jaw": "jaw_h36m", "head": "head_h36m", **_ANNOTATED_HIPS},
}
SPIN_24 = _convention("spin24", _SPIN_TRUTH, **_SPIN_RENAMED)
"""The 24 annotated joints of SPIN's training files (``part`` and ``S``)."""

SPIN_49 = Convention(
    "spin49",
    tuple(f"{_name}_openpose" for _name in BODY_25.keypoints) + SPIN_24.keypoints,
    BODY_25.landmarks + SPIN_24.landmarks,
)
"""SPIN's 49: OpenPose's 25, then the 24 annotated ones."""

CONVENTIONS = {
    convention.name: convention
    for convention in (
        *(SMPL_24, COCO_17, COCO_18, BODY_25, LSP_14, MPII_16),
        *(H36M_17, THREE_DHP_17, MEDIAPIPE_33, SPIN_24, SPIN_49),
        *(HALPE_26, HALPE_136, WHOLEBODY_133),
    )
}


def convention_named(name: str) -> Convention:
    """Look up a convention.

    Raises:
        ValueError: If there is none of that name; names the known ones.
    """
    if name not in CONVENTIONS:
        raise ValueError(f"Unknown keypoint convention {name!r}; known: {', '.join(CONVENTIONS)}.")
    return CONVENTIONS[name]

"""Protocols: what is compared with what, and how, by name."""

from dataclasses import dataclass
from typing import Literal

from fitloop.body.keypoints import LSP_14, THREE_DHP_17
from fitloop.body.params import JOINT_NAMES


@dataclass(frozen=True)
class Metric:
    """How a number is called, written and read."""

    label: str
    unit: str
    """Of the number as stored; ``share`` is in [0, 1] and written in percent."""
    decimals: int
    better: Literal["low", "high"]


METRICS: dict[str, Metric] = {
    "mpjpe": Metric("MPJPE", "mm", 1, "low"),
    "pa_mpjpe": Metric("PA-MPJPE", "mm", 1, "low"),
    "n_mpjpe": Metric("N-MPJPE", "mm", 1, "low"),
    "pck_150": Metric("3DPCK@150", "share", 1, "high"),
    "auc": Metric("AUC", "share", 1, "high"),
    "mpjpe_24": Metric("MPJPE, 24 joints", "mm", 1, "low"),
    "pve": Metric("PVE", "mm", 1, "low"),
    "pve_t": Metric("PVE-T", "mm", 1, "low"),
    "pve_t_sc": Metric("PVE-T-SC", "mm", 1, "low"),
    "acceleration": Metric("Acceleration", "mm/frame²", 1, "low"),
    "rotation": Metric("Rotation", "°", 1, "low"),
    "quaternion": Metric("Quaternion", "rad", 3, "low"),
    "pixels": Metric("2D error", "px", 1, "low"),
    "pixels_box": Metric("2D error / box", "share", 2, "low"),
    "pck_01": Metric("PCK@0.1 torso", "share", 1, "high"),
    "pck_02": Metric("PCK@0.2 torso", "share", 1, "high"),
    "pckh_05": Metric("PCKh@0.5", "share", 1, "high"),
    "mask_iou": Metric("Mask IoU", "share", 1, "high"),
    "foreground_accuracy": Metric("Foreground accuracy", "share", 2, "high"),
    "foreground_f1": Metric("Foreground F1", "", 3, "high"),
    "part_accuracy": Metric("Part accuracy", "share", 2, "high"),
    "part_f1": Metric("Part F1", "", 3, "high"),
}
"""Every metric that a protocol may ask for."""


@dataclass(frozen=True)
class Protocol:
    """One way to score people; reports always name it."""

    name: str
    data_set: str
    split: str
    truth: Literal["spin", "bench", "lspet", "coco"]
    """Which reader the truth file needs; docs/evaluation.md lists the layouts."""
    metrics: tuple[str, ...]
    """Names in `METRICS`."""
    joints: tuple[str, ...]
    """Scored joints by name, in order."""
    convention: str
    """Says which landmark of a body each of `joints` is."""
    regressor: Literal["landmarks", "h36m"]
    """Joints of a mesh: the body's named landmarks, or Human3.6M's regressor where the user gives that file."""
    root: tuple[str, ...]
    """Landmarks whose mean is subtracted from an estimate; the truth's likewise unless it is stored centred."""
    alignment: str
    """What is aligned before MPJPE and PVE, in words."""
    gender_rule: str
    box_rule: str
    source: str
    """Who defined it."""
    grades: tuple[str, ...] = ()
    """Groups of people that are also reported one by one."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.metrics if name not in METRICS]
        if unknown:
            raise ValueError(f"Protocol {self.name}: unknown metrics {unknown}; known: {', '.join(METRICS)}.")


_LIMB_JOINTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
LIMBS = tuple(f"{side}_{joint}" for joint in _LIMB_JOINTS for side in ("left", "right"))
"""The twelve joints that every detector and every body has."""
_SPIN_14 = THREE_DHP_17.keypoints[:14]
_JOINT_METRICS: tuple[str, ...] = ("mpjpe", "pa_mpjpe", "n_mpjpe")
_ROOT_ALIGNED = "root subtracted; PA-MPJPE by a similarity per person"
_NEUTRAL = "estimate with the neutral body"
_GIVEN_BOX = "box of the data set (centre and scale)"
_SPIN_SOURCE = "Kolotouros et al. 2019 (SPIN), eval.py"


def _h36m(name: str, split: str) -> Protocol:
    return Protocol(
        name=name,
        data_set="Human3.6M",
        split=split,
        truth="spin",
        metrics=_JOINT_METRICS,
        joints=_SPIN_14,
        convention="3dhp17",
        regressor="h36m",
        root=("mid_hip",),
        alignment=_ROOT_ALIGNED,
        gender_rule=_NEUTRAL,
        box_rule=_GIVEN_BOX,
        source=f"Ionescu et al. 2014; {_SPIN_SOURCE}",
    )


GRADES = ("easy", "loose clothes", "occluded", "truncated", "acrobatic")
"""Difficulty grades of open-bench."""
CLIP_KINDS = ("static", "moving", "crossing")
"""Kinds of clips of open-bench-video: a camera that stands, one that is held, two people who cross."""

EVIDENCE = Protocol(
    name="evidence",
    data_set="no truth",
    split="all people of the results",
    truth="bench",
    metrics=("pixels", "pixels_box"),
    joints=("nose", *LIMBS),
    convention="coco17",
    regressor="landmarks",
    root=("mid_hip",),
    alignment="none: full-image pixels",
    gender_rule=_NEUTRAL,
    box_rule="each result is compared with its own evidence",
    source="fitloop: distance of the projected body to the keypoints that it was fitted to; says nothing of depth",
)
"""What reports without a truth compare; no file of truth belongs to it."""

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        _h36m("h36m-p1", "S9 and S11, every 5th frame, all 4 cameras"),
        _h36m("h36m-p2", "S9 and S11, every 5th frame, frontal camera 60457274"),
        Protocol(
            name="3dpw",
            data_set="3DPW",
            split="test, 35,515 people with valid camera poses",
            truth="spin",
            metrics=(*_JOINT_METRICS, "pve", "pve_t", "pve_t_sc", "rotation", "acceleration"),
            joints=_SPIN_14,
            convention="3dhp17",
            regressor="h36m",
            root=("mid_hip",),
            alignment=_ROOT_ALIGNED,
            gender_rule="truth with the gendered body of each person, estimate with the neutral one",
            box_rule="box of the visible 2D joints",
            source=f"von Marcard et al. 2018; {_SPIN_SOURCE}",
        ),
        Protocol(
            name="mpi-inf-3dhp",
            data_set="MPI-INF-3DHP",
            split="test, valid frames with all 17 joints inside the image",
            truth="spin",
            metrics=(*_JOINT_METRICS, "pck_150", "auc"),
            joints=THREE_DHP_17.keypoints,
            convention="3dhp17",
            regressor="h36m",
            root=("mid_hip",),
            alignment=_ROOT_ALIGNED,
            gender_rule=_NEUTRAL,
            box_rule=_GIVEN_BOX,
            source=f"Mehta et al. 2017; {_SPIN_SOURCE}",
        ),
        Protocol(
            name="lsp",
            data_set="Leeds Sports Pose",
            split="test, 1,000 photos with UPi-S1h masks and parts",
            truth="spin",
            metrics=("foreground_accuracy", "foreground_f1", "part_accuracy", "part_f1", "mask_iou"),
            joints=(),
            convention="lsp14",
            regressor="landmarks",
            root=("mid_hip",),
            alignment="none: masks of the full photo, pixels of all photos counted together",
            gender_rule=_NEUTRAL,
            box_rule=_GIVEN_BOX,
            source=f"Lassner et al. 2017 (masks); {_SPIN_SOURCE}",
        ),
        Protocol(
            name="rich",
            data_set="RICH",
            split="test, as the truth file lists it",
            truth="spin",
            metrics=(*_JOINT_METRICS, "pve", "pve_t_sc", "rotation", "acceleration"),
            joints=JOINT_NAMES,
            convention="smpl24",
            regressor="landmarks",
            root=("pelvis",),
            alignment=_ROOT_ALIGNED,
            gender_rule="truth with the gendered body where the file names one, estimate with the neutral one",
            box_rule=_GIVEN_BOX,
            source="Huang et al. 2022 (data); SMPL's 24 joints about the pelvis are this project's choice",
        ),
        Protocol(
            name="open-bench",
            data_set="open-bench",
            split="held-out synthetic people rendered from a seed",
            truth="bench",
            metrics=(
                *(*_JOINT_METRICS, "pck_150", "auc", "mpjpe_24", "pve", "pve_t", "pve_t_sc"),
                *("rotation", "quaternion", "pixels", "pixels_box"),
            ),
            joints=("nose", *LIMBS),
            convention="coco17",
            regressor="landmarks",
            root=("mid_hip",),
            alignment=_ROOT_ALIGNED,
            gender_rule="one body for all",
            box_rule="result with the most overlapping box, at least a fifth of the union",
            source="fitloop, docs/evaluation.md",
            grades=GRADES,
        ),
        Protocol(
            name="open-bench-video",
            data_set="open-bench-video",
            split="20 clips of 3 s of held-out synthetic people, rendered from a seed",
            truth="bench",
            metrics=(*_JOINT_METRICS, "pve", "rotation", "acceleration", "pixels", "pixels_box"),
            joints=("nose", *LIMBS),
            convention="coco17",
            regressor="landmarks",
            root=("mid_hip",),
            alignment=_ROOT_ALIGNED,
            gender_rule="one body for all",
            box_rule="result of the frame with the most overlapping box, at least a fifth of the union",
            source="fitloop, docs/evaluation.md",
            grades=CLIP_KINDS,
        ),
        Protocol(
            name="lspet",
            data_set="Leeds Sports Pose Extended, 2,500 photos",
            split="photos of the truth file",
            truth="lspet",
            metrics=("pck_01", "pck_02", "pckh_05", "pixels", "pixels_box", "mask_iou"),
            joints=LSP_14.keypoints,
            convention="lsp14",
            regressor="landmarks",
            root=("mid_hip",),
            alignment="none: full-image pixels",
            gender_rule=_NEUTRAL,
            box_rule="result with the most overlapping box, at least a fifth of the union; box of the annotated joints",
            source="Johnson and Everingham 2011 (data); Toshev and Szegedy 2014 (torso)",
        ),
        Protocol(
            name="coco",
            data_set="any photos with COCO keypoint annotations",
            split="annotations with at least one labelled keypoint, no crowds",
            truth="coco",
            metrics=("pck_01", "pck_02", "pixels", "pixels_box", "mask_iou"),
            joints=("nose", *LIMBS),
            convention="coco17",
            regressor="landmarks",
            root=("mid_hip",),
            alignment="none: full-image pixels",
            gender_rule=_NEUTRAL,
            box_rule="result with the most overlapping box, at least a fifth of the union",
            source="Lin et al. 2014 (data); Toshev and Szegedy 2014 (torso)",
        ),
    )
}
"""All protocols by name."""


def protocol_named(name: str) -> Protocol:
    """Look up a protocol.

    Raises:
        ValueError: If there is none of that name; names the known ones.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"Unknown protocol {name!r}; known: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]

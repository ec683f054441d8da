"""What the original of SPIN does and nobody would do on purpose."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quirks:
    """What the original does and nobody would do on purpose; each can be had alone (docs/spin.md)."""

    compare_reprojection_only: bool = False
    """The better fit is the one with the lower reprojection; priors have no say, so a monster may replace a person."""
    place_old_fit_anew: bool = False
    """The stored fit is compared at a least-squares camera over the annotated joints, the new one at its own camera."""
    mean_over_unseen: bool = False
    """Reprojection and keypoint losses are averaged over all keypoints, so people of whom little is seen count less."""
    ignore_detected: bool = False
    """Keypoints of OpenPose have weight 0 in the 2D loss."""
    betas_all_or_none: bool = False
    """One shape coefficient beyond the limit sets all ten to 0 for supervision, instead of limiting each."""
    learn_in_2d_and_parameters_only: bool = False
    """3D joints of fits teach nothing; only annotated 3D joints do."""
    no_gate: bool = False
    """Nothing but the comparison decides whether a fit is kept."""
    fit_from_augmented: bool | None = None
    """Fits start from what the network says of the augmented view, which is a worse guess than that of the photo as it
    is but saves a second look. If not given, encoders that read pixels do so: that look is a third of a step."""


SPIN_QUIRKS = Quirks(True, True, True, True, True, True, True, True)

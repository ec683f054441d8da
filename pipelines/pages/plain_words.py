"""What results files say in the terms of the program, in words for whoever looks at a page."""

_FITS = {
    "converged": "done",
    "max_steps": "good, not quite finished",
    "stalled": "done, as far as it goes",
    "not_enough_evidence": "none: too little of the person was found",
    "degenerate": "none: what was found does not tell where the body is",
    "not_fitted": "not asked for",
}
"""By `fitloop.fitting.Status`, and for who was guessed only."""
_REFUSALS = {
    "withheld_keypoints": "it would lie farther from keypoints that were kept back to check it",
    "silhouette": "it would cover the person's outline worse",
    "no_gain": "nothing would get better",
    "implausible": "it would turn joints or change the body more than a correction may",
    "not_seen": "too little of the body is in the photo",
    "no_evidence": "nothing was found to check it by",
    "not_fitted": "there was no fit to start from",
    "no_silhouette": "the detector gave no outline of the person",
    "another_shape": "body and outline are too unlike",
    "too_little": "too little of the outline is near the body",
    "absurd": "most of the surface would lie far off the body",
}
"""By `fitloop.refinement.gate.Reason` and `fitloop.refinement.offsets.OffsetReason`."""


def fit_words(status: object) -> str:
    """How a fit ended."""
    return _FITS.get(str(status), str(status).replace("_", " "))


def verdict_words(reason: object) -> str:
    """Whether a correction was taken, and why not."""
    told = str(reason)
    return "taken" if told == "better" else f"not taken: {_REFUSALS.get(told, told.replace('_', ' '))}"

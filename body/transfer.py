"""From one body to another: the pose is taken over, the shape is not."""

from dataclasses import replace

from fitloop.body.model import Body
from fitloop.body.records import BodyEstimate


def transfer(estimate: BodyEstimate, source: Body, target: Body) -> BodyEstimate:
    """Give the pose of one body to another: same rotations, mean shape, pelvis at the same place.

    Shape coefficients of two bodies mean different things, so they start anew at zero.

    Args:
        estimate: Of ``source``.
        source: Body the estimate belongs to.
        target: Body that is wanted.

    Raises:
        ValueError: If the estimate is not of ``source``.
    """
    if estimate.body != source.name:
        raise ValueError(f"The estimate is of body {estimate.body!r}, not of {source.name!r}; name its body as source.")
    params = estimate.params
    pelvis = source.rest_joints(params.betas)[..., 0, :] + params.transl
    betas = params.betas.new_zeros(*params.betas.shape[:-1], target.num_betas)
    transl = pelvis - target.rest_joints(betas)[..., 0, :]
    return BodyEstimate(replace(params, betas=betas, transl=transl), estimate.camera, target.name)

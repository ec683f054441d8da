"""The compiled comparison of meshes gives what the plain formulas give for meshes at hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import random_params, stick_body
from toy_bench import disturbed

from fitloop.body import JOINT_NAMES
from fitloop.evaluation.joints import pve, pve_t_sc
from fitloop.evaluation.surfaces import AT_ONCE, surface_errors, surface_of

HIPS = [JOINT_NAMES.index("left_hip"), JOINT_NAMES.index("right_hip")]


def rest_mesh(body, betas):
    joints = body.rest_joints(betas)
    vertices = body.template + torch.einsum("vcb,nb->nvc", body.shapedirs, betas)
    return vertices - joints[:, HIPS].mean(1, keepdim=True)


def plain_errors(ours, goal):
    (body, params, root), (other, target, goal_root) = ours, goal
    rest, rest_goal = rest_mesh(body, params.betas), rest_mesh(other, target.betas)
    return {
        "pve": pve(body(params).vertices - root[:, None], other(target).vertices - goal_root[:, None]),
        "pve_t": pve(rest, rest_goal),
        "pve_t_sc": pve_t_sc(rest, rest_goal),
    }


def with_correctives(body, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return replace(body, posedirs=0.01 * torch.randn(len(body.template), 3, 207, generator=generator))


def with_other_shape(body):
    """A gendered twin: the same mesh with another template, other shapes, and skinning of its own."""
    weights = 0.8 * body.lbs_weights + 0.2 * body.lbs_weights.roll(1, -1)
    return replace(body, template=1.1 * body.template, shapedirs=0.5 * body.shapedirs, lbs_weights=weights)


@pytest.mark.parametrize("change", [lambda body: body, with_correctives, with_other_shape])
@pytest.mark.parametrize("count", [1, AT_ONCE, 2 * AT_ONCE + 3])
def test_the_loop_over_vertices_gives_what_the_plain_formulas_give(change, count):
    own, goal = stick_body(), change(stick_body())
    target = random_params(count, seed=1)
    params = replace(disturbed(target, 0.3), betas=target.betas + 0.5)
    roots = params.transl + 0.1, target.transl - 0.1
    found = surface_errors((surface_of(own), params, roots[0]), (surface_of(goal), target, roots[1]))
    expected = plain_errors((own, params, roots[0]), (goal, target, roots[1]))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-2, err_msg=name)
        assert values.min() > 1.0 or name == "pve_t_sc"


def test_equal_bodies_are_no_distance_apart():
    params, body = random_params(5, seed=2), stick_body()
    found = surface_errors((surface_of(body), params, params.transl), (surface_of(body), params, params.transl))
    for values in found.values():
        np.testing.assert_allclose(values, 0.0, atol=1e-3)

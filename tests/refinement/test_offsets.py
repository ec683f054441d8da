"""Hair and clothes on bodies: a body that is blown up by a known field gets its outline back, and only that."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from refinement_scenes import BODY, SIZE, standing

from fitloop.body import BodyEstimate, SurfaceEvidence
from fitloop.body.model import forward_kinematics
from fitloop.geometry import project, rotvec_to_rotmat
from fitloop.refinement import Photo
from fitloop.refinement.offset_space import cotangent_laplacian, offset_space
from fitloop.refinement.offsets import OffsetConfig, OffsetReason, find_offsets, no_offsets, pose_offsets
from fitloop.rendering import load_rasterizer

RASTERIZER = load_rasterizer("auto")
PARTS = np.array(BODY.joint_names)[BODY.vertex_parts.numpy()]
TRUTH = standing((0.0, 0.1, 3.0))
BARE = torch.zeros(1, len(BODY.template), 3)


def field(thickness: float = 0.03) -> torch.Tensor:
    """Offsets of the rest pose: so thick a coat all around, thinner towards the feet, none on hands and face."""
    space = offset_space(BODY)
    high = ((BODY.template[:, 1] - BODY.template[:, 1].amin()) / 1.2).clamp_max(1.0)
    worn = torch.from_numpy(space.spread.sum(1) * (1.0 - space.bare)).float()
    return (thickness * high * worn)[:, None] * space.directions


def photograph(estimate: BodyEstimate, rest: torch.Tensor) -> Photo:
    """Silhouettes of clothed people over the whole photo."""
    covered = RASTERIZER(clothed(estimate, rest), BODY.faces, estimate.camera, SIZE).covered
    boxes = torch.tensor([0.0, 0.0, SIZE[1], SIZE[0]]).expand(len(covered), 4)
    return Photo(torch.zeros(*SIZE, 3, dtype=torch.uint8), covered.float(), boxes)


def clothed(estimate: BodyEstimate, rest: torch.Tensor) -> torch.Tensor:
    rest = rest.expand(len(estimate.params.betas), -1, -1)
    return BODY(estimate.params).vertices + pose_offsets(BODY, estimate.params, rest)


def find(photo: Photo, estimate: BodyEstimate = TRUTH, **changed):
    return find_offsets(BODY, photo, estimate, RASTERIZER, config=OffsetConfig(**changed))


def test_a_body_blown_up_by_a_known_field_is_found_in_its_outline_and_thickness():
    true = field()
    found = find(photograph(TRUTH, true))
    assert found.reason.tolist() == [int(OffsetReason.BETTER)]
    assert found.overlap_before < 0.8 and found.overlap_after > 0.96 and found.outline > 0.5
    covered = photograph(TRUTH, found.rest).silhouettes > 0
    wanted = photograph(TRUTH, true).silhouettes > 0
    assert (covered & wanted).sum() > 0.96 * (covered | wanted).sum()
    # Where the outline runs: vertices at the sides of the trunk, arms and legs.
    sides = (offset_space(BODY).directions[:, 0].abs() > 0.9).numpy() & np.isin(PARTS, ["spine1", "spine2", "left_hip"])
    thickness = true.norm(dim=-1)
    error = (found.rest[0] - true).norm(dim=-1)
    assert thickness[sides].mean() > 0.015 and error[sides].mean() < 0.002  # pyright: ignore[reportArgumentType]


def test_a_bare_silhouette_gives_no_offsets():
    found = find(photograph(TRUTH, BARE))
    assert found.reason.tolist() == [int(OffsetReason.NO_GAIN)]
    assert (found.rest == 0).all() and found.overlap_before > 0.95


def test_hands_and_face_wear_nothing():
    found = find(photograph(TRUTH, field(0.05)))
    bare = torch.from_numpy(offset_space(BODY).bare > 0)
    assert found.accepted.all()
    thickness = found.rest[0].norm(dim=-1)
    assert thickness[bare].mean() < 0.002 and thickness[bare].amax() < 0.0101 and thickness[~bare].mean() > 0.01


@pytest.mark.parametrize(
    ("silhouette", "reason"),
    [(lambda s: torch.zeros_like(s), "NO_SILHOUETTE"), (lambda s: s.roll(70, -1), "ANOTHER_SHAPE")]
    + [(lambda s: s * torch.nan, "NO_SILHOUETTE"), (lambda s: torch.ones_like(s), "ANOTHER_SHAPE")],
)
def test_an_empty_or_foreign_silhouette_gives_none_with_a_reason(silhouette, reason):
    photo = photograph(TRUTH, field())
    found = find(replace(photo, silhouettes=silhouette(photo.silhouettes)))
    assert found.reason.tolist() == [int(OffsetReason[reason])]
    assert (found.rest == 0).all()


def test_without_silhouettes_or_people_nothing_is_found():
    photo = photograph(TRUTH, field())
    found = find(replace(photo, silhouettes=None, silhouette_boxes=None))
    assert found.reason.tolist() == [int(OffsetReason.NO_SILHOUETTE)] and (found.rest == 0).all()
    nobody = replace(photo, silhouettes=photo.silhouettes[:0], silhouette_boxes=photo.silhouette_boxes[:0])
    assert find(nobody, TRUTH[:0]).rest.shape == no_offsets(BODY, 0, OffsetReason.NO_SILHOUETTE).rest.shape


def test_people_out_of_sight_stay_bare_and_spoil_no_neighbour():
    both = standing((0.0, 0.1, 3.0), (0.0, 0.0, -3.0))
    alone = photograph(TRUTH, field())
    photo = replace(
        alone, silhouettes=alone.silhouettes.expand(2, -1, -1), silhouette_boxes=alone.silhouette_boxes.expand(2, -1)
    )
    found = find(photo, both)
    assert found.reason.tolist() == [int(OffsetReason.BETTER), int(OffsetReason.NOT_SEEN)]
    torch.testing.assert_close(found.rest[:1], find(alone).rest)
    lost = replace(both, params=replace(both.params, transl=torch.full((2, 3), torch.nan)))
    assert find(photo, lost).reason.tolist() == [int(OffsetReason.NOT_SEEN)] * 2


@pytest.mark.parametrize("grid", [False, True])
def test_a_border_that_cuts_the_person_is_no_outline(grid):
    """The photo's border, or that of the silhouette's grid, runs through the trunk; bodies are as bare as can be."""
    truth = TRUTH if grid else standing((1.05, 0.1, 3.0))
    photo = photograph(truth, BARE)
    if grid:
        middle = SIZE[1] // 2 + 5
        box = torch.tensor([[0.0, 0.0, middle, SIZE[0]]])
        photo = replace(photo, silhouettes=photo.silhouettes[..., :middle], silhouette_boxes=box)
    found = find(photo, truth, least_gain=-1.0, least_overlap=0.1)
    assert found.accepted.all()
    assert found.rest.norm(dim=-1).amax() < 0.008


def test_what_stands_far_off_is_not_followed():
    photo = photograph(TRUTH, field(0.02))
    silhouettes = photo.silhouettes.clone()
    silhouettes[:, 100:200, 170:] = 1.0
    with_wall = find(replace(photo, silhouettes=silhouettes), least_overlap=0.1)
    without = find(photo, least_overlap=0.1)
    # On the free side the outline is found as without the wall.
    free = BODY(TRUTH.params).vertices[0, :, 0] < -0.1
    apart = (with_wall.rest if with_wall.accepted else torch.zeros_like(without.rest)) - without.rest
    assert without.accepted.all() and with_wall.accepted.all()
    assert apart[0, free].norm(dim=-1).mean() < 0.005
    assert with_wall.rest.norm(dim=-1).amax() < 0.1


def test_offsets_follow_the_limb_when_the_body_is_posed_again():
    true, elbow = field(), BODY.joint_names.index("left_elbow")
    turn = rotvec_to_rotmat(torch.tensor([0.0, -1.5, 0.0]))
    pose = TRUTH.params.body_pose.clone()
    pose[:, elbow - 1] = pose[:, elbow - 1] @ turn
    bent = replace(TRUTH.params, body_pose=pose)
    forearm = BODY.lbs_weights[:, elbow] > 0.999
    before, after = (pose_offsets(BODY, params, true[None])[0, forearm] for params in (TRUTH.params, bent))
    world, _ = forward_kinematics(TRUTH.params.rotations, BODY.rest_joints(TRUTH.params.betas))
    turned = (world[0, elbow] @ turn @ world[0, elbow].mT @ before[..., None])[..., 0]
    assert forearm.sum() > 20 and before.norm(dim=-1).mean() > 0.01
    torch.testing.assert_close(after, turned, atol=1e-4, rtol=0.0)


def test_posed_offsets_are_what_a_thicker_template_gives():
    true = field()
    thick = replace(BODY, template=BODY.template + true)
    # Clothes are no bones: the joints stay those of the bare body.
    object.__setattr__(thick, "rest_joints", BODY.rest_joints)
    torch.testing.assert_close(thick(TRUTH.params).vertices, clothed(TRUTH, true), atol=1e-5, rtol=0.0)


def test_dense_evidence_pulls_points_that_the_outline_does_not_see():
    photo = photograph(TRUTH, BARE)
    true = field(0.03)
    chosen = tuple(range(0, len(BODY.template), 20))
    targets = project(clothed(TRUTH, true), TRUTH.camera)[:, list(chosen)]
    surface = SurfaceEvidence(chosen, targets, torch.ones(1, len(chosen)))
    config = OffsetConfig(dense=0.3, least_gain=-1.0)
    found = find_offsets(BODY, photo, TRUTH, RASTERIZER, surface, config)
    without = find_offsets(BODY, photo, TRUTH, RASTERIZER, None, config)
    assert found.rest.norm(dim=-1).mean() > 5.0 * without.rest.norm(dim=-1).mean()


def test_the_laplacian_knows_areas_and_annihilates_planes():
    across, up = torch.meshgrid(torch.arange(6) / 5.0, torch.arange(6) / 5.0, indexing="ij")
    flat = torch.stack([across, up, torch.zeros_like(up)], -1).flatten(0, 1).double().numpy()
    corner = np.array([6 * i + j for i in range(5) for j in range(5)])
    faces = np.concatenate(
        [np.stack([corner, corner + 6, corner + 7], 1), np.stack([corner, corner + 7, corner + 1], 1)]
    )
    stiffness, area = cotangent_laplacian(flat, faces)
    inner = [i for i in range(36) if 0 < i // 6 < 5 and 0 < i % 6 < 5]
    np.testing.assert_allclose(area.sum(), 1.0)
    # The clamp of right angles' cotangents at 0.02 leaves a trace.
    np.testing.assert_allclose((stiffness @ (2.0 * flat[:, 0] + 1.0))[inner], 0.0, atol=1e-8)
    assert np.abs(stiffness @ flat[:, 0] ** 2)[inner].min() > 0.01


def test_senseless_options_and_counts_are_refused():
    with pytest.raises(ValueError, match="rounds must be at least 1"):
        OffsetConfig(rounds=0)
    with pytest.raises(ValueError, match="positive metres"):
        OffsetConfig(inwards=0.0)
    photo = photograph(TRUTH, BARE)
    with pytest.raises(ValueError, match="2 bodies but 1 silhouettes"):
        find(photo, TRUTH[[0, 0]])

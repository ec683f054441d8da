"""Scores of benchmarks are means over people."""

from dataclasses import replace

import pytest
import torch
from refinement_scenes import BODY, standing

from benchmarks import scores
from fitloop.geometry import concatenate


def test_the_error_of_vertices_is_the_mean_over_people_however_they_are_measured(monkeypatch):
    people = [standing((0.0, 0.1, 3.0)), standing((0.2, 0.0, 4.0)), standing((-0.3, 0.0, 5.0))]
    truth = concatenate(people)
    # Betas of one kind move vertices by other distances for each of them.
    betas = truth.params.betas + torch.tensor([[0.1], [0.5], [2.0]])
    estimate = replace(truth, params=replace(truth.params, betas=betas))
    alone = [scores.score(BODY, estimate[row], truth[row], "coco17").pve for row in ([0], [1], [2])]
    monkeypatch.setattr(scores, "MESHES_AT_ONCE", 2)
    assert max(alone) > 2 * min(alone)
    assert scores.score(BODY, estimate, truth, "coco17").pve == pytest.approx(sum(alone) / 3, rel=1e-5)

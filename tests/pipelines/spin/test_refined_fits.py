"""Refined bodies in the store that the network learns from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fitting_scenes import see
from PIL import Image
from refinement_scenes import BODY, disturbed, draw, photograph, standing

import fitloop.refinement.refiner as stage
from fitloop.geometry import project
from fitloop.pipelines.chain.refining import make_refiner
from fitloop.pipelines.spin.config import SpinConfig
from fitloop.pipelines.spin.refined_fits import FitsRefiner
from fitloop.pipelines.spin.report import Epoch, table
from fitloop.pipelines.spin.samples import ObservedPeople
from fitloop.pipelines.spin.store import BestFits, Source
from fitloop.refinement import Displacement, DisplacementNet
from fitloop.refinement.look import Glance, Sight, usual_texture
from fitloop.refinement.network import NetworkConfig
from fitloop.rendering import interpolate

TRUTH = standing((-0.5, 0.1, 3.0), (0.6, 0.1, 3.4))
NETWORK = DisplacementNet(NetworkConfig((8, 8, 8), (1, 1, 1))).eval()


@pytest.fixture
def told(monkeypatch):
    """Make the network say where each person of `TRUTH` is, in the order of calls, times a factor."""

    def tell(factor):
        def tell_truth(body, network, look, texture=None, without=(), twice=True):
            near = (look.crop.center - project(TRUTH.params.transl[:, None], TRUTH.camera)[:, 0]).norm(dim=-1).argmin()
            true = draw(TRUTH[near : near + 1], look)
            moved = project(true.vertices, true.camera) - project(look.drawn.vertices, look.drawn.camera)
            offset = factor * interpolate(look.drawn.fragments, moved, BODY.faces).permute(0, 3, 1, 2)
            told = Displacement(offset, torch.full_like(offset[:, 0], -1.0))
            return Sight(Glance((), told), None, usual_texture(body, look, texture))

        monkeypatch.setattr(stage, "see", tell_truth)
        return FitsRefiner(BODY, make_refiner(BODY, network=NETWORK))

    return tell


@pytest.fixture
def crowd(tmp_path):
    """Both people as samples with their photo, and fits that are a little off."""
    photo = photograph(TRUTH)
    Image.fromarray(photo.pixels.numpy()).save(tmp_path / "both.png")
    evidence = replace(see(BODY, TRUTH), silhouettes=photo.silhouettes, silhouette_boxes=photo.silhouette_boxes)
    samples = ObservedPeople(evidence, TRUTH.camera, TRUTH.params, torch.zeros(2), torch.zeros(2, 24, 4))
    fits = BestFits(
        disturbed(TRUTH).params, torch.tensor([5.0, 6.0]), torch.full((2,), int(Source.LOOP)), torch.ones(2).long()
    )
    return samples, (tmp_path / "both.png",) * 2, fits


def distance(params):
    return (BODY(params).vertices - BODY(TRUTH.params).vertices).norm(dim=-1).mean(-1)


def test_chosen_fits_move_to_the_pixels_and_keep_the_energy_to_beat(told, crowd):
    samples, photos, fits = crowd
    found, taken = told(1.0)(fits, torch.tensor([False, True]), samples, photos)
    assert taken.tolist() == [False, True]
    assert distance(found.params)[1] < 0.7 * distance(fits.params)[1]
    torch.testing.assert_close(found.params.body_pose[0], fits.params.body_pose[0])
    assert found.energy.equal(fits.energy) and found.updates.equal(fits.updates)
    assert found.source.tolist() == [int(Source.LOOP), int(Source.REFINED)]


def test_fits_stay_where_the_gate_refuses(told, crowd):
    samples, photos, fits = crowd
    found, taken = told(-3.0)(fits, torch.ones(2, dtype=torch.bool), samples, photos)
    assert not taken.any() and found.params.transl.equal(fits.params.transl)


def test_a_missing_photo_is_named(told, crowd):
    samples, _, fits = crowd
    with pytest.raises(ValueError, match="--images"):
        told(1.0)(fits, torch.ones(2, dtype=torch.bool), samples, (None, None))


def test_the_report_tells_how_many_were_refined_only_where_that_was_asked_for():
    plain = Epoch(1, {}, {}, {"known": 4.0, "people": 8.0}, {"people": 8.0, "updated": 4.0})
    refined = replace(plain, tally={**plain.tally, "refined": 2.0})
    assert "refined (%)" not in table([plain])
    head, _, row = (line.split(" | ") for line in table([refined]).splitlines())
    assert head[-1] == "refined (%) |" and row[-1] == "25.0 |"


def test_refining_asks_for_folders_of_photos():
    with pytest.raises(ValueError, match="give their folders with images"):
        SpinConfig(data=(Path("people.npz"),), refine=True)

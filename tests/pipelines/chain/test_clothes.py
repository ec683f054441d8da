"""From a photo's people to their clothes in files and pictures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fitting_scenes import see
from PIL import Image as PillowImage
from refinement_scenes import BODY, SIZE, look, standing

from fitloop.body import Image
from fitloop.fitting import Fit, Status
from fitloop.geometry import camera_of
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.chain.refining import Dresser
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.page import write_page
from fitloop.pipelines.folder.pictures import page_picture, write_pictures
from fitloop.pipelines.regress_then_fit import Stages
from fitloop.refinement import Displacement, Outcome, Photo, Reason
from fitloop.refinement.offset_space import offset_space
from fitloop.refinement.offsets import OffsetConfig, OffsetReason, pose_offsets
from fitloop.refinement.subjects import Refined
from fitloop.rendering import load_rasterizer

TRUTH = standing((-0.5, 0.1, 3.0), (0.6, 0.1, 3.4))
PIXELS = np.full((*SIZE, 3), 90, np.uint8)
IMAGE = Image(PIXELS, camera_of(SIZE[1], SIZE[0]), "a.jpg")


def coat() -> torch.Tensor:
    """Three centimetres all around, but for hands and face."""
    space = offset_space(BODY)
    thickness = 0.03 * space.spread.sum(1) * (1.0 - space.bare)
    return torch.from_numpy(thickness).float()[:, None] * space.directions


def refined_people() -> People:
    """Two people; the first wears a coat, of the second the detector saw no silhouette."""
    clothed = BODY(TRUTH.params).vertices + pose_offsets(BODY, TRUTH.params, coat().expand(2, -1, -1))
    silhouettes = load_rasterizer("auto")(clothed, BODY.faces, TRUTH.camera, SIZE).covered.float()
    silhouettes[1] = 0.0
    boxes = torch.tensor([0.0, 0.0, SIZE[1], SIZE[0]]).expand(2, 4)
    seen = replace(see(BODY, TRUTH), silhouettes=silhouettes, silhouette_boxes=boxes)
    numbers = torch.arange(2)
    fitted = Fit(TRUTH, numbers.float(), torch.full((2,), int(Status.CONVERGED)), numbers, numbers)
    seen_bodies = look(TRUTH, Photo(torch.from_numpy(PIXELS), silhouettes, boxes))
    still = Displacement(torch.zeros(2, 2, 128, 128), torch.zeros(2, 128, 128))
    unknown = torch.full((2,), torch.nan)
    outcome = Outcome(unknown, unknown, unknown, unknown, torch.ones(2, dtype=torch.bool))
    refined = Refined(TRUTH, TRUTH, torch.full((2,), int(Reason.BETTER)), outcome, seen_bodies, still)
    return People("a.jpg", BODY, seen, TRUTH, fitted, refined)


@pytest.fixture(scope="module")
def people() -> People:
    return Dresser(BODY)(IMAGE, refined_people())


def test_who_wears_something_is_clothed_and_others_stay_bare(people):
    assert people.offsets.reason.tolist() == [int(OffsetReason.BETTER), int(OffsetReason.NO_SILHOUETTE)]
    bare = BODY(TRUTH.params).vertices
    assert (people.surface() - bare)[0].norm(dim=-1).mean() > 0.01
    torch.testing.assert_close(people.surface()[1], bare[1])
    torch.testing.assert_close(people.surface(slice(0, 1))[0], people.surface()[0])


def test_the_results_file_keeps_offsets_and_verdicts_from_which_the_mesh_follows(people):
    arrays = people.to_arrays()
    assert arrays["refined_offsets"].shape == (2, len(BODY.template), 3)
    assert arrays["refined_offsets"].dtype == np.float16
    assert arrays["refined_offsets_reason"].tolist() == ["better", "no_silhouette"]
    before, after = arrays["refined_offsets_overlap_before"], arrays["refined_offsets_overlap_after"]
    assert after[0] > before[0] + 0.05 and np.isnan(before[1])
    offsets = torch.from_numpy(arrays["refined_offsets"].astype(np.float32))
    again = BODY(TRUTH.params).vertices + pose_offsets(BODY, TRUTH.params, offsets)
    torch.testing.assert_close(again, people.surface(), atol=1e-4, rtol=0.0)
    assert "refined_offsets" not in refined_people().to_arrays()


def test_mesh_files_are_clothed(people, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    for name, found in {"bare": refined_people(), "clothed": people}.items():
        found.save(tmp_path / f"{name}.glb", 0)
    volumes = [abs(trimesh.load(tmp_path / f"{n}.glb", force="mesh").volume) for n in ("bare", "clothed")]
    assert volumes[1] > 1.1 * volumes[0]


def test_pictures_and_page_show_the_clothed_body(people, tmp_path):
    config = RunConfig(images=tmp_path, out=tmp_path, refine=True, offsets=True)
    write_pictures(config, people, lambda: PIXELS)
    shown = [np.asarray(PillowImage.open(page_picture(tmp_path, "a.jpg", n))) for n in ("refined", "clothed")]
    assert (np.abs(shown[0].astype(int) - shown[1]).max(-1) > 40).sum() > 100
    path = tmp_path / "results" / "a.jpg.npz"
    path.parent.mkdir()
    np.savez(path, **people.to_arrays(), image_size=np.array(SIZE))
    write_page(config, ["a.jpg"], {}, BODY)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "What the words mean" in page and "sides mended" not in page
    assert "With hair and clothes" in page and "clothes not taken: the detector gave no outline" in page
    scene = (tmp_path / "page" / "a.jpg.scene.js").read_text(encoding="utf-8")
    assert 'data-scene="page/a.jpg.scene.js"' in page and "after a network corrected its pose" not in page
    write_page(replace(config, correction=True), ["a.jpg"], {}, BODY)
    assert "after a network corrected its pose" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert scene.count('"offsets":"') == 1 and '"name":"clothed"' in scene


def test_stages_clothe_only_when_asked(monkeypatch):
    import fitloop.pipelines.chain.refining as stage

    monkeypatch.setattr(stage.Refiner, "together", lambda self, crowd: [refined_people().refined for _ in crowd])
    monkeypatch.setattr(stage, "with_silhouettes", lambda detector, image, people: people)
    for offsets in (False, True):
        stages = Stages(StagesConfig(refine=True, offsets=offsets))
        stages.__dict__.update(body=BODY)
        assert (stages.refine(IMAGE, refined_people()).offsets is not None) == offsets
    with pytest.raises(ValueError, match="leave out --no-refine"):
        StagesConfig(offsets=True, refine=False)


def test_people_without_refinement_stay_as_they_are():
    people = replace(refined_people(), refined=None)
    assert Dresser(BODY)(IMAGE, people) is people


def test_dense_evidence_of_the_refinement_counts_where_asked():
    people = refined_people()
    right = torch.tensor([3.0, 0.0])[:, None, None].expand(2, 2, 128, 128)
    seen = Displacement(right, torch.full((2, 128, 128), -1.0))
    people = replace(people, refined=replace(people.refined, displacement=seen))  # pyright: ignore[reportArgumentType]
    plain, dense = (Dresser(BODY, OffsetConfig(dense=d))(IMAGE, people).offsets.rest[0] for d in (0.0, 0.5))
    assert (dense - plain).norm(dim=-1).mean() > 0.001

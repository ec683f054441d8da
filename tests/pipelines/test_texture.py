"""A person's colours from photos of a run, and what the main job does with them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from pretend import PRETEND
from refinement_scenes import BODY, SIZE, standing

from fitloop.body import BodyEstimate, Detections
from fitloop.detection import MediapipeDetector
from fitloop.geometry import project, rotvec_to_rotmat
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.pages import texture_page
from fitloop.pipelines.texture import main
from fitloop.refinement.person_texture import PersonTexture, load_texture, photo_and_person
from fitloop.rendering import interpolate, load_rasterizer, unique_vertex_colors

COLORS = unique_vertex_colors(BODY.template)
STRANGER = 1.0 - COLORS


def turned(degrees: float) -> BodyEstimate:
    """One person, turned about the vertical; seen from the front at 0."""
    person = standing((0.0, 0.1, 3.0))
    turn = rotvec_to_rotmat(torch.tensor([0.0, float(np.radians(degrees)), 0.0]))
    return replace(person, params=replace(person.params, global_orient=person.params.global_orient @ turn))


class Run:
    """A finished run, made by hand."""

    def __init__(self, folder: Path) -> None:
        self.out, self.photos, self.person = folder / "out", folder / "photos", folder / "person"

    def add(self, name: str, estimate: BodyEstimate, colors: torch.Tensor = COLORS, **changed) -> None:
        """A photo of the first body in these colours, on green, and the results of everybody."""
        params, camera = estimate.params, estimate.camera
        vertices = BODY(params).vertices
        seen = load_rasterizer()(vertices[0], BODY.faces, camera[0], SIZE)
        pixels = torch.where(
            seen.covered[..., None], interpolate(seen, colors, BODY.faces), torch.tensor([0.0, 1.0, 0.0])
        )
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray((255.0 * pixels).byte().numpy()).save(path)
        points = project(vertices, camera)
        arrays = {
            **{key: getattr(params, key).numpy() for key in ("global_orient", "body_pose", "betas", "transl")},
            **{"focal": camera.focal.numpy(), "principal_point": camera.principal_point.numpy()},
            "boxes": torch.cat([points.amin(1), points.amax(1)], 1).numpy(),
            "status": np.array(["converged"] * len(vertices)),
            "body": np.array(BODY.name),
            "image_size": np.array(SIZE, np.int32),
        }
        results = self.out / "results" / f"{name}.npz"
        results.parent.mkdir(parents=True, exist_ok=True)
        np.savez(results, **arrays | changed)

    def texture(self, *options: str) -> int:
        folders = ["--results", str(self.out), "--images", str(self.photos), "--out", str(self.person)]
        return main([*folders, *options])

    @property
    def made(self) -> PersonTexture:
        return load_texture(self.person / "texture.npz", BODY)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Two photos; the pictures and the page's body, which take longest, are left to the test that looks at them."""
    monkeypatch.setattr(texture_page, "contact_sheet", lambda body, texture: np.zeros((2, 2, 3), np.uint8))
    monkeypatch.setattr(texture_page, "viewer_body", lambda body: "")
    made = Run(tmp_path)
    made.add("front.png", turned(0.0))
    made.add("trip/back.png", turned(180.0))
    return made


def error(made: PersonTexture, where: np.ndarray | slice = slice(None)) -> float:
    return float(np.abs(made.fractions.numpy() - COLORS.numpy())[where].mean())


def test_two_sides_of_a_body_are_recovered(run, capsys):
    assert run.texture("--no-masks") == 0
    made = run.made
    seen = made.known == 1
    assert 0.3 < seen.mean() < 0.95 and (made.known[~seen] == 0.5).all()
    assert error(made, seen) < 0.02 and error(made, ~seen) < 0.08
    assert made.photos == ("front.png:0", "trip/back.png:0") and made.betas.tolist() == [0.0] * 10
    assert "seen in 2 photos" in capsys.readouterr().out


def test_everything_an_animator_wants_is_written(run, monkeypatch):
    import trimesh

    monkeypatch.undo()
    assert run.texture("--no-masks") == 0
    assert {path.name for path in run.person.iterdir()} == {"texture.npz", "body.glb", "contact.png", "index.html"}
    (mesh,) = trimesh.load_scene(run.person / "body.glb", process=False).geometry.values()
    linear = ((run.made.colors / 255.0 + 0.055) / 1.055) ** 2.4
    bright = run.made.colors.min(1) > 15
    stored = np.asarray(mesh.visual.vertex_attributes["color"] if "color" in mesh.visual.vertex_attributes else [])
    stored = np.asarray(mesh.visual.to_color().vertex_colors) / 255.0 if not stored.size else stored / 65535.0
    np.testing.assert_allclose(stored[bright, :3], linear[bright], atol=0.01)
    with PillowImage.open(run.person / "contact.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    front, back = pixels[:640, :420], pixels[:640, 840:1260]
    colorful = [(np.ptp(view, axis=-1) > 60).mean() for view in (front, back)]
    assert min(colorful) > 0.05, "both sides are in colour"
    page = (run.person / "index.html").read_text()
    assert "front.png:0" in page and '"texture"' in page and "T-pose" in page


def test_a_photo_of_another_person_is_outvoted_and_shows_in_the_table(run):
    run.add("also.png", turned(0.0))
    run.add("stranger.png", turned(0.0), STRANGER)
    assert run.texture("--no-masks", "--people", "front.png:0", "also.png:0", "stranger.png:0") == 0
    made = run.made
    assert error(made, made.known == 1) < 0.03
    page = (run.person / "index.html").read_text()
    apart = re.search(r'<td>stranger.png:0</td><td class="number">\d+</td><td class="number">(\d+)</td>', page)
    assert apart and int(apart[1]) > 30


def test_a_texture_made_on_another_device_is_that_of_a_cpu(run, pretend_device, monkeypatch):
    def in_boxes(self, image, boxes):
        person = turned(0.0)
        seen = load_rasterizer()(BODY(person.params).vertices, BODY.faces, person.camera, SIZE).covered
        points, whole = torch.zeros(1, 33, 2), torch.tensor([[0.0, 0.0, SIZE[1], SIZE[0]]])
        return Detections(points, points[..., 0], boxes, "mediapipe33", None, None, seen.float(), whole)

    monkeypatch.setattr(MediapipeDetector, "__init__", lambda self: None)
    monkeypatch.setattr(MediapipeDetector, "in_boxes", in_boxes)
    made = []
    for device in ("cpu", str(PRETEND)):
        assert run.texture("--people", "front.png:0", "--device", device) == 0
        made.append(run.made)
    np.testing.assert_array_equal(made[0].known, made[1].known)
    np.testing.assert_allclose(made[0].colors.astype(int), made[1].colors, atol=1)
    assert pretend_device.operations > 50


def test_one_photo_is_enough(run):
    assert run.texture("--no-masks", "--people", "front.png:0") == 0
    made = run.made
    assert 0.2 < (made.known == 1).mean() < 0.55 and error(made, made.known == 1) < 0.02


def test_the_detectors_silhouette_is_used_where_it_shows_this_person(run, monkeypatch):
    def in_boxes(self, image, boxes):
        person = turned(0.0)
        seen = load_rasterizer()(BODY(person.params).vertices, BODY.faces, person.camera, SIZE).covered
        right = torch.arange(SIZE[1]) >= shown
        grid = right.float().expand(1, *SIZE) if beside else (seen & ~right).float()
        whole = torch.tensor([[0.0, 0.0, SIZE[1], SIZE[0]]])
        points = torch.zeros(1, 33, 2)
        return Detections(points, points[..., 0], boxes, "mediapipe33", None, None, grid, whole)

    monkeypatch.setattr(MediapipeDetector, "__init__", lambda self: None)
    monkeypatch.setattr(MediapipeDetector, "in_boxes", in_boxes)
    shown, beside = SIZE[1], False
    assert run.texture("--people", "front.png:0") == 0
    whole = (run.made.known == 1).sum()
    shown = SIZE[1] // 2
    assert run.texture("--people", "front.png:0") == 0
    half = run.made.known == 1
    assert half.sum() < 0.7 * whole, "the half that the detector does not see gives no colours"
    assert (BODY.template[half, 0] < 0.02).all(), "it is the person's left that lies right in the photo"
    shown, beside = SIZE[1] - 30, True
    assert run.texture("--people", "front.png:0") == 0
    assert (run.made.known == 1).sum() == whole, "a silhouette beside the body is somebody else's"


def test_people_without_a_fit_or_outside_the_photo_are_left_out(run, capsys):
    run.add("lost.png", turned(0.0), status=np.array(["degenerate"]))
    run.add("away.png", turned(0.0), transl=np.array([[0.0, 0.1, -3.0]], np.float32))
    assert run.texture("--no-masks") == 0
    assert run.made.photos == ("front.png:0", "trip/back.png:0")
    told = capsys.readouterr().err
    assert "lost.png:0 is left out: it has no fit (degenerate)" in told
    assert "away.png:0 is left out: its body lies outside" in told


def test_refined_bodies_are_taken_where_there_are_some(run):
    from fitloop.pipelines.chain.results_file import estimate_of

    path = run.out / "results" / "front.png.npz"
    with np.load(path) as found:
        arrays = dict(found)
    keys = ("global_orient", "body_pose", "betas", "transl", "focal", "principal_point")
    np.savez(path, **arrays, **{f"refined_{key}": arrays[key] + (key == "betas") * 0.25 for key in keys})
    assert run.texture("--no-masks", "--people", "front.png:0") == 0
    np.testing.assert_allclose(run.made.betas, 0.25 + estimate_of(arrays, "").params.betas[0].numpy())


TWO = standing((-0.6, 0.1, 3.0), (0.6, 0.1, 3.6))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "two.png shows 2 people: say who is meant with --people two.png:0, or --largest"),
        (("--people", "two.png"), "PHOTO:PERSON, such as a.jpg:0, got 'two.png'"),
        (("--people", "two.png:-1"), "got 'two.png:-1'"),
        (("--people", "two.png:2"), "two.png has no person 2: the run found numbers 0 to 1"),
        (("--people", "gone.png:0"), "has no results of gone.png; it has front.png, trip/back.png, two.png"),
        (("--people", "two.png:0", "two.png:1"), "names two.png more than once"),
        (("--people", "two.png:0", "--largest"), "--people or --largest, not both"),
        (("--largest", "--images", "elsewhere"), "front.png"),
        (("--largest", "--results", "elsewhere"), "There are no results in elsewhere"),
        (("--largest", "--body", "elsewhere.pkl"), "elsewhere.pkl"),
    ],
)
def test_unclear_wishes_are_a_sentence(run, capsys, options, words):
    run.add("two.png", TWO)
    try:
        code = run.texture("--no-masks", *options)
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    told = capsys.readouterr().err
    # The box around wrong options breaks lines.
    assert words in " ".join(told.replace("│", " ").split()) and "Traceback" not in told
    assert not run.person.exists()


def test_the_largest_person_is_taken_when_asked_for(run):
    run.add("two.png", TWO)
    assert run.texture("--no-masks", "--largest") == 0
    assert run.made.photos[2] == "two.png:0"


def test_photos_and_bodies_of_another_run_are_refused(run, capsys):
    run.add("other.png", turned(0.0), body=np.array("smpl"))
    assert run.texture("--no-masks", "--people", "other.png:0") == 2
    assert "other.png was fitted with body 'smpl', not 'open-1'" in capsys.readouterr().err
    run.add("small.png", turned(0.0), image_size=np.array([480, 640], np.int32))
    assert run.texture("--no-masks", "--people", "small.png:0") == 2
    assert "320 x 240 pixels, the run read one of 640 x 480" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_a_sentence(run, capsys):
    run.person.write_text("a file")
    assert run.texture("--no-masks") == 3
    assert "cannot be read or written" in capsys.readouterr().err


def test_options_of_the_main_job_that_go_nowhere_are_refused(tmp_path):
    with pytest.raises(ValueError, match="leave out --no-refine"):
        StagesConfig(refine=False, texture=tmp_path / "a.npz")
    with pytest.raises(ValueError, match="add --texture"):
        StagesConfig(refine=True, texture_people=("a.jpg:0",))
    with pytest.raises(ValueError, match=r"named as PHOTO:PERSON.*got 'a.jpg'"):
        StagesConfig(refine=True, texture=tmp_path / "a.npz", texture_people=("a.jpg",))
    assert photo_and_person("x/a:b.jpg:12") == ("x/a:b.jpg", 12)


def test_the_main_job_refuses_textures_it_cannot_use(run, tmp_path, capsys):
    from fitloop.pipelines.regress_then_fit import main as run_main

    (tmp_path / "front_keypoints.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": _skeleton()}]}))
    options = ["--images", str(run.photos), "--keypoints", str(tmp_path / "front_keypoints.json"), "--refine"]
    known = np.ones(len(COLORS), np.float32)
    PersonTexture(np.zeros((len(COLORS), 3), np.uint8), known, "smpl", np.zeros(10, np.float32), ()).save(
        tmp_path / "smpl.npz"
    )
    assert run_main([*options, "--out", str(tmp_path / "a"), "--texture", str(tmp_path / "smpl.npz")]) == 2
    assert "texture of body 'smpl'" in capsys.readouterr().err
    assert not list((tmp_path / "a").rglob("*.npz")), "nothing was written"
    named = ["--texture", str(tmp_path / "smpl.npz"), "--texture-people", "gone.png:0"]
    assert run_main([*options, "--out", str(tmp_path / "b"), *named]) == 2
    assert "--texture-people names gone.png" in capsys.readouterr().err


def _skeleton() -> list[float]:
    from fitloop.body import KeypointKinematics, convention_named

    person = turned(0.0)
    points = KeypointKinematics(BODY, tuple(filter(None, convention_named("body25").landmarks)))(person.params)
    pixels = project(points, person.camera)[0]
    return torch.cat([pixels, torch.ones(len(pixels), 1)], 1).flatten().tolist()

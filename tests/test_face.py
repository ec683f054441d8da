"""`import fitloop`: quick, complete, and in nobody's way."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

import fitloop

ROOT = Path(__file__).parent.parent
PHOTO = ROOT / "samples" / "hall.jpg"


def run(code: str, folder: Path) -> str:
    told = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return told.stdout.strip()


def test_the_import_loads_no_library(tmp_path):
    heavy = "torch", "numpy", "PIL", "scipy"
    code = f"import sys, fitloop; print([name for name in {heavy} if name in sys.modules])"
    assert run(code, tmp_path) == "[]"


def test_packages_of_ones_own_keep_their_names(tmp_path):
    (tmp_path / "data.py").write_text("mine = 1")
    (tmp_path / "body.py").write_text("mine = 2")
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "__init__.py").write_text("mine = 3")
    code = (
        "import body, data, evaluation, fitloop; from fitloop.body import JOINT_NAMES; "
        "print(data.mine, body.mine, evaluation.mine, len(JOINT_NAMES))"
    )
    assert run(code, tmp_path) == "1 2 3 24"


@pytest.mark.parametrize("name", fitloop.__all__)
def test_every_name_of_the_face_is_there_and_has_an_example(name):
    thing = getattr(fitloop, name)
    assert name in dir(fitloop)
    assert "fitloop." in (thing.__doc__ or ""), f"the docstring of fitloop.{name} has no example"


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(AttributeError, match="has no attribute 'predcit'; it has predict"):
        fitloop.predcit  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_a_file_and_its_pixels_give_the_same_people():
    by_path = fitloop.predict(str(PHOTO), threads=1)
    by_pixels = fitloop.predict(np.asarray(PillowImage.open(PHOTO).convert("RGB")), threads=1)
    by_image = fitloop.predict(fitloop.load_image(PHOTO), threads=1)
    by_pillow = fitloop.predict(PillowImage.open(PHOTO), threads=1)
    assert len(by_path) == 1 and by_path.name == "hall.jpg"
    for other in (by_pixels, by_image, by_pillow):
        assert np.array_equal(other.to_arrays()["joints_3d"], by_path.to_arrays()["joints_3d"])


def test_a_folder_gives_one_photo_at_a_time_and_passes_over_what_is_none(tmp_path):
    for name in ("a.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(PHOTO.read_bytes())
    (tmp_path / "b.jpg").write_text("no picture")
    found = fitloop.predict(tmp_path, threads=1)
    assert next(found).name == "a.jpg"
    assert [people.name for people in found] == ["c.jpg"]


def test_wrong_photos_and_options_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no photo .*none.jpg"):
        fitloop.predict(tmp_path / "none.jpg")
    with pytest.raises(ValueError, match=r"\(height, width, 3\), RGB, uint8; got shape \(4, 4\)"):
        fitloop.predict(np.zeros((4, 4), np.uint8))
    with pytest.raises(TypeError, match=r"predict has no option 'refien'; did you mean refine\? It has detector, .*"):
        fitloop.predict(PHOTO, refien=True)
    with pytest.raises(TypeError, match=r"predict takes a file.*got int\."):
        fitloop.predict(3)  # pyright: ignore[reportCallIssue, reportArgumentType]
    with pytest.raises(TypeError, match=r"predict takes a file.*got bytes\."):
        next(fitloop.predict([b"photo"]))  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_packages_of_the_wheel_are_the_folders(tmp_path):
    """Every folder with Python in a room has an `__init__`, or the wheel would lack it."""
    rooms = [path for path in ROOT.iterdir() if (path / "__init__.py").is_file() and path.name != "benchmarks"]
    assert len(rooms) == 10
    missing = {
        file.parent.relative_to(ROOT).as_posix()
        for room in rooms
        for file in room.rglob("*.py")
        if not (file.parent / "__init__.py").is_file()
    }
    assert missing == set()

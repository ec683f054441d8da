"""Which entry of a file belongs to which photo."""

import unicodedata

import numpy as np
import pytest
from keypoint_documents import coco, flat, openpose, photo, points, result, write

from fitloop.detection import BadKeypoints, KeypointFile


def listed(path, *names: str) -> KeypointFile:
    rows = [result(name, seed=number) for number, name in enumerate(names)]
    return KeypointFile(write(path / "r.json", rows))


def people_of(source: KeypointFile, name: str) -> tuple[int | None, tuple[str, ...]]:
    """Number of the entry that a photo gets, and the notices."""
    report = source.detect_with_notices(photo(name))
    if len(report.detections.boxes) == 0:
        return None, report.notices
    seeds = [s for s in range(9) if np.allclose(report.detections.keypoints[0], points(17, s)[:, :2], atol=1e-4)]
    return seeds[0], report.notices


@pytest.mark.parametrize(
    ("entry", "name", "is_told"),
    [
        ("a.jpg", "a.jpg", False),
        ("train/a.jpg", "a.jpg", False),
        ("a", "a.jpg", False),
        ("photos\\a.jpg", "a.jpg", True),
        ("C:\\photos\\x\\a.jpg", "x/a.jpg", True),
        ("./x/a.jpg", "x/a.jpg", True),
        ("A.JPG", "a.jpg", True),
        (unicodedata.normalize("NFD", "ä/é.jpg"), unicodedata.normalize("NFC", "ä/é.jpg"), True),
        (unicodedata.normalize("NFC", "é.jpg"), unicodedata.normalize("NFD", "é.jpg"), True),
        ("my%20photo.jpg", "my photo.jpg", True),
        ("https://example.org/x/a.jpg?raw=1", "x/a.jpg", True),
        ("STRASSE.png", "straße.jpg", True),
    ],
)
def test_names_are_matched_from_exact_to_lenient_and_a_lenient_match_is_told(tmp_path, entry, name, is_told):
    source = listed(tmp_path, "other.jpg", entry)
    source.expect([name])
    found, notices = people_of(source, name)
    assert found == 1
    assert any(repr(entry) in notice for notice in notices) == is_told


def test_the_exact_name_goes_before_a_lenient_one(tmp_path):
    source = listed(tmp_path, "A.jpg", "a.jpg", "x/a.jpg")
    source.expect(["a.jpg", "A.jpg", "x/a.jpg"])
    assert [people_of(source, name)[0] for name in ("A.jpg", "a.jpg", "x/a.jpg")] == [0, 1, 2]


def test_two_lenient_matches_for_one_photo_are_refused(tmp_path):
    source = listed(tmp_path, "A.jpg", "a.JPG")
    with pytest.raises(BadKeypoints, match=r"'A.jpg' and 'a.JPG' fit 'a.jpg' equally well"):
        source(photo("a.jpg"))


def test_the_folder_decides_between_two_of_one_name(tmp_path):
    source = listed(tmp_path, "data/x/a.jpg", "data/y/a.jpg")
    assert [people_of(source, name)[0] for name in ("x/a.jpg", "y/a.jpg")] == [0, 1]


@pytest.mark.parametrize("entry", [2, "2", "000002", 2.0, "2.0"])
def test_a_number_in_any_form_is_the_number_that_the_photos_name_ends_in(tmp_path, entry):
    source = KeypointFile(write(tmp_path / "r.json", [result(entry), result(3, seed=1)]))
    source.expect(["frame_0002.jpg", "frame_0003.jpg"])
    assert [people_of(source, f"frame_000{n}.jpg")[0] for n in (2, 3)] == [0, 1]


@pytest.mark.parametrize("entry", [2, "000002", 2.0])
def test_one_number_never_serves_two_photos(tmp_path, entry):
    source = KeypointFile(write(tmp_path / "r.json", [result(entry)]))
    with pytest.raises(BadKeypoints, match=r"'2' fits 'cam1_000002.jpg' and 'cam2_000002.jpg'|'000002' fits"):
        source.expect(["cam1_000002.jpg", "cam2_000002.jpg"])


def test_one_number_never_serves_two_photos_that_are_asked_for_one_by_one(tmp_path):
    source = listed(tmp_path, "2")
    assert [people_of(source, "cam1_000002.jpg")[0] for _ in range(2)] == [0, 0]
    with pytest.raises(BadKeypoints, match="'2' fits 'cam1_000002.jpg' and 'cam2_000002.jpg'"):
        source(photo("cam2_000002.jpg"))


@pytest.mark.parametrize(("ids", "photos"), [((0, 1, 2), (1, 2, 3)), ((1, 2, 3), (0, 1, 2)), ((0, 1), (100, 101))])
def test_numbers_that_fit_only_when_shifted_are_refused_with_the_pairs(tmp_path, ids, photos):
    source = listed(tmp_path, *map(str, ids))
    with pytest.raises(BadKeypoints, match=rf"only shifted by .* \({ids[0]} with 'frame_{photos[0]:04d}.jpg'"):
        source.expect([f"frame_{number:04d}.jpg" for number in photos])


def test_numbers_that_fit_as_they_are_are_not_refused(tmp_path):
    source = listed(tmp_path, "1", "2", "3")
    source.expect([f"frame_{number:04d}.jpg" for number in range(5)])
    assert people_of(source, "frame_0001.jpg")[0] == 0


def test_a_photo_does_not_get_the_entry_of_its_twin(tmp_path):
    source = listed(tmp_path, "a.jpg")
    source.expect(["a.jpg", "a.png"])
    assert people_of(source, "a.jpg")[0] == 0
    assert people_of(source, "a.png") == (None, (f"{source.path} lists nothing for 'a.png'.",))


def test_entries_of_other_photos_are_not_offered_to_one_that_is_not_listed(tmp_path):
    source = listed(tmp_path, "x/a.jpg", "y/a.jpg")
    source.expect(["x/a.jpg", "y/a.jpg", "z/a.jpg"])
    assert people_of(source, "z/a.jpg")[0] is None


def test_an_entry_that_fits_two_photos_equally_well_is_refused_for_both(tmp_path):
    source = listed(tmp_path, "a.jpg", "b.jpg")
    source.expect(["x/a.jpg", "y/a.jpg", "b.jpg"])
    for name in ("x/a.jpg", "y/a.jpg"):
        with pytest.raises(BadKeypoints, match=r"'a.jpg' fits 'x/a.jpg' and 'y/a.jpg'.*own path"):
            source(photo(name))
    assert people_of(source, "b.jpg")[0] == 1


def test_a_file_of_other_photos_is_refused(tmp_path):
    with pytest.raises(BadKeypoints, match="lists none of the photos: it names 'b.jpg', the photos are 'a.jpg'"):
        listed(tmp_path, "b.jpg").expect(["a.jpg"])
    write(tmp_path / "folder/b_keypoints.json", openpose(points(25)))
    with pytest.raises(BadKeypoints, match="lists none of the photos"):
        KeypointFile(tmp_path / "folder").expect(["a.jpg"])


def test_results_of_nobody_are_no_error_for_a_photo_but_for_a_whole_run(tmp_path):
    source = KeypointFile(write(tmp_path / "r.json", []))
    assert len(source(photo()).boxes) == 0
    with pytest.raises(BadKeypoints, match=r"r\.json names no photo and nobody"):
        source.expect(["a.jpg"])


def test_files_in_a_folder_are_found_in_other_case_and_unicode_forms(tmp_path):
    write(tmp_path / "X" / f"{unicodedata.normalize('NFD', 'é')}_keypoints.json", openpose(points(25)))
    report = KeypointFile(tmp_path).detect_with_notices(photo("x/É.jpg"))
    assert len(report.detections.boxes) == 1 and "as 'X/" in report.notices[0]


def test_a_file_in_a_folder_never_serves_two_photos(tmp_path):
    write(tmp_path / "a_keypoints.json", openpose(points(25)))
    source = KeypointFile(tmp_path)
    source.expect(["a.jpg", "a.png"])
    with pytest.raises(BadKeypoints, match="'a_keypoints.json' fits 'a.jpg' and 'a.png'"):
        source(photo("a.jpg"))


# Ids of COCO's photos.


@pytest.mark.parametrize(
    ("of_photo", "of_annotation"), [(7, "7"), ("7", 7), (7, 7.0), ("0007", 7), ("a", "a"), (7, "a.jpg")]
)
def test_ids_of_photos_and_annotations_are_compared_by_their_value(tmp_path, of_photo, of_annotation):
    content = coco({"keypoints": flat(17), "image_id": of_annotation}, id=of_photo)
    assert len(KeypointFile(write(tmp_path / "c.json", content))(photo()).boxes) == 1


def test_one_id_of_two_photos_is_refused_for_both(tmp_path):
    content = coco({"keypoints": flat(17)}, {"keypoints": flat(17), "image_id": 8})
    content["images"] += [{"id": 7, "file_name": "b.jpg"}, {"id": 8, "file_name": "c.jpg"}]
    source = KeypointFile(write(tmp_path / "c.json", content))
    for name in ("a.jpg", "b.jpg"):
        with pytest.raises(BadKeypoints, match=r"gives the id 7 to 'a.jpg' and 'b.jpg'"):
            source(photo(name))
    assert len(source(photo("c.jpg")).boxes) == 1


def test_a_photo_listed_twice_with_people_in_both_is_refused(tmp_path):
    content = coco({"keypoints": flat(17)}, {"keypoints": flat(17), "image_id": 8})
    content["images"].append({"id": 8, "file_name": "a.jpg", "width": 64, "height": 48})
    with pytest.raises(BadKeypoints, match="lists 'a.jpg' several times, as 7, 8"):
        KeypointFile(write(tmp_path / "c.json", content))(photo())

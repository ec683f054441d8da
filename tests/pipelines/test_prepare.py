import numpy as np
import pytest
from PIL import Image

from fitloop.body.keypoints import LSP_14
from fitloop.data.spin_format import read_spin
from fitloop.pipelines.prepare import main


@pytest.fixture
def lspet_dev(tmp_path):
    joints = np.random.default_rng(0).uniform(5, 60, (3, 14, 3)).astype(np.float32)
    joints[..., 2] = 1
    (tmp_path / "images").mkdir()
    names = [f"{row}.jpg" for row in range(3)]
    for name in names:
        Image.new("RGB", (64, 64)).save(tmp_path / "images" / name)
    np.savez(tmp_path / "joints.npz", names=np.array(names), joints=joints, order=np.array(LSP_14.keypoints))
    return tmp_path


def run(folder, *options):
    return main(["lspet_dev", "--source", str(folder), "--out", str(folder / "out.npz"), *options])


def test_a_data_set_is_converted_checked_and_described(lspet_dev, capsys):
    assert run(lspet_dev, "--images", str(lspet_dev)) == 0
    assert len(read_spin(lspet_dev / "out.npz")) == 3
    assert "3 people on 3 photos\nannotated joints per person: 14.0 of 24" in capsys.readouterr().out


def test_missing_photos_end_in_one_sentence_and_no_file(lspet_dev, capsys):
    (lspet_dev / "images" / "1.jpg").unlink()
    assert run(lspet_dev, "--images", str(lspet_dev)) == 2
    assert "fitloop: lspet_dev: 1 of 3 photos are not in" in capsys.readouterr().err
    assert not (lspet_dev / "out.npz").exists()


@pytest.mark.parametrize("name", ["lspet_dev", "spin"])
def test_a_missing_source_is_a_wrong_option_and_told_in_one_sentence(tmp_path, capsys, name):
    assert main([name, "--source", str(tmp_path / "none")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("fitloop: ") and str(tmp_path / "none") in told and told.count("\n") == 1


def test_a_file_that_cannot_be_written_is_told_as_by_every_command(lspet_dev, capsys):
    assert main(["lspet_dev", "--source", str(lspet_dev), "--out", "/dev/null/out.npz"]) == 3
    assert "cannot be read or written: /dev/null" in capsys.readouterr().err


def test_an_unknown_data_set_is_refused(lspet_dev, capsys):
    with pytest.raises(SystemExit):
        main(["imagenet", "--source", str(lspet_dev)])
    assert "lspet_dev" in capsys.readouterr().err

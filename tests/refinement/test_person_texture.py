"""Textures in files, who wears them, and what the network makes of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from refinement_scenes import BODY, SIZE, standing

from fitloop.pipelines.chain.wearers import Wearers
from fitloop.refinement import DisplacementNet, look_at, predict_displacement
from fitloop.refinement.look import Photo
from fitloop.refinement.network import NetworkConfig
from fitloop.refinement.person_texture import PersonTexture, load_texture
from fitloop.refinement.texture import rows_or, unknown_appearance
from fitloop.rendering import load_rasterizer, unique_vertex_colors

COLORS = unique_vertex_colors(BODY.template)


def _texture(**changed) -> PersonTexture:
    colors = (255.0 * COLORS).byte().numpy()
    plain = PersonTexture(colors, np.ones(len(colors), np.float32), BODY.name, np.zeros(10, np.float32), ("a.jpg:0",))
    return replace(plain, **changed)


def test_a_texture_file_gives_back_what_was_saved(tmp_path):
    _texture().save(tmp_path / "a.npz")
    found = load_texture(tmp_path / "a.npz", BODY)
    np.testing.assert_array_equal(found.colors, _texture().colors)
    assert found.photos == ("a.jpg:0",) and found.body == BODY.name


def test_textures_of_other_bodies_and_broken_files_are_refused(tmp_path):
    _texture(body="smpl").save(tmp_path / "smpl.npz")
    with pytest.raises(ValueError, match="texture of body 'smpl' with 13524 vertices, but this is body 'open-1'"):
        load_texture(tmp_path / "smpl.npz", BODY)
    _texture(colors=_texture().colors[:100], known=np.ones(100, np.float32)).save(tmp_path / "few.npz")
    with pytest.raises(ValueError, match="with 100 vertices"):
        load_texture(tmp_path / "few.npz", BODY)
    with pytest.raises(FileNotFoundError, match="no texture .*gone.npz; `fitloop texture` makes one"):
        load_texture(tmp_path / "gone.npz", BODY)
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "smpl.npz").read_bytes()[:2000])
    np.savez(tmp_path / "results.npz", boxes=np.zeros((1, 4)))
    (tmp_path / "empty.npz").touch()
    for name in ("text", "cut", "results", "empty"):
        with pytest.raises(ValueError, match=f"{name}.npz is no texture, or damaged"):
            load_texture(tmp_path / f"{name}.npz", BODY)


def test_the_largest_person_wears_the_texture_and_others_are_guessed():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 30.0, 30.0]])
    worn = Wearers(_texture()).appearance("a.jpg", boxes)
    assert worn is not None and worn.known.amax(-1).tolist() == [0.0, 1.0]
    mixed = rows_or(worn, replace(unknown_appearance(2, len(COLORS)), known=torch.full((2, len(COLORS)), 0.5)))
    assert mixed.known.amax(-1).tolist() == [0.5, 1.0]
    assert Wearers(_texture()).appearance("a.jpg", boxes[:0]) is None


def test_named_people_wear_the_texture_and_nobody_else_does():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 30.0, 30.0]])
    wearers = Wearers(_texture(), ("x/a:b.jpg:0", "b.jpg:7"))
    worn = wearers.appearance("x/a:b.jpg", boxes)
    assert worn is not None and worn.known.amax(-1).tolist() == [1.0, 0.0]
    assert wearers.appearance("c.jpg", boxes) is None and wearers.appearance("b.jpg", boxes) is None
    assert "names person 7" in wearers.notices("b.jpg", 2)[0] and not wearers.notices("x/a:b.jpg", 2)


def test_the_network_is_shown_the_texture():
    person = standing((0.0, 0.1, 3.0))
    photo = Photo(torch.full((*SIZE, 3), 90, dtype=torch.uint8))
    look = look_at(BODY, photo, person, load_rasterizer())
    torch.manual_seed(0)
    network = DisplacementNet(NetworkConfig((8, 8, 8), (1, 1, 1))).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    worn = Wearers(_texture()).appearance("a.jpg", torch.tensor([[0.0, 0.0, 9.0, 9.0]]))
    plain, shown = (predict_displacement(BODY, network, look, texture).offset for texture in (None, worn))
    assert not torch.allclose(plain, shown)
    nothing = unknown_appearance(1, len(COLORS))
    torch.testing.assert_close(predict_displacement(BODY, network, look, nothing).offset, plain)

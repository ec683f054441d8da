"""HMR 2.0: a checkpoint with the released names, and a forward pass written down once more, in plain functions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import stick_body

from fitloop.body import Detections, Image
from fitloop.geometry import Camera
from fitloop.regressor import HeadConfig, HMRConfig, Weights, build_hmr, load_weights, save_weights
from fitloop.regressor.checkpoints import import_hmr2
from fitloop.regressor.hmr2 import HMR2Config
from fitloop.regressor.recipes import RECIPES, crop_of
from fitloop.regressor.regressor import NetworkRegressor
from fitloop.regressor.vit import VitConfig

SIZES = HMR2Config(VitConfig(width=12, depth=2, heads=3, patch=16), width=8, depth=2, heads=2, head_width=5, hidden=7)
W, D, INNER = 12, 8, 10
SHAPES = {
    "backbone.pos_embed": (1, 193, W),
    "backbone.patch_embed.proj.weight": (W, 3, 16, 16),
    "backbone.patch_embed.proj.bias": (W,),
    **{f"backbone.last_norm.{part}": (W,) for part in ("weight", "bias")},
    **{
        f"backbone.blocks.{block}.{name}": shape
        for block in range(2)
        for name, shape in {
            **{f"norm{n}.{part}": (W,) for n in (1, 2) for part in ("weight", "bias")},
            **{"attn.qkv.weight": (3 * W, W), "attn.qkv.bias": (3 * W,)},
            **{"attn.proj.weight": (W, W), "attn.proj.bias": (W,)},
            **{"mlp.fc1.weight": (4 * W, W), "mlp.fc1.bias": (4 * W,)},
            **{"mlp.fc2.weight": (W, 4 * W), "mlp.fc2.bias": (W,)},
        }.items()
    },
    "smpl_head.transformer.to_token_embedding.weight": (D, 1),
    "smpl_head.transformer.to_token_embedding.bias": (D,),
    "smpl_head.transformer.pos_embedding": (1, 1, D),
    **{
        f"smpl_head.transformer.transformer.layers.{layer}.{name}": shape
        for layer in range(2)
        for name, shape in {
            **{f"{n}.norm.{part}": (D,) for n in (0, 1, 2) for part in ("weight", "bias")},
            **{"0.fn.to_qkv.weight": (3 * INNER, D), "0.fn.to_out.0.weight": (D, INNER), "0.fn.to_out.0.bias": (D,)},
            **{"1.fn.to_kv.weight": (2 * INNER, W), "1.fn.to_q.weight": (INNER, D)},
            **{"1.fn.to_out.0.weight": (D, INNER), "1.fn.to_out.0.bias": (D,)},
            **{"2.fn.net.0.weight": (7, D), "2.fn.net.0.bias": (7,)},
            **{"2.fn.net.3.weight": (D, 7), "2.fn.net.3.bias": (D,)},
        }.items()
    },
    **{"smpl_head.decpose.weight": (144, D), "smpl_head.decpose.bias": (144,)},
    **{"smpl_head.decshape.weight": (10, D), "smpl_head.decshape.bias": (10,)},
    **{"smpl_head.deccam.weight": (3, D), "smpl_head.deccam.bias": (3,)},
    **{"smpl_head.init_body_pose": (1, 144), "smpl_head.init_betas": (1, 10), "smpl_head.init_cam": (1, 3)},
}


class Config(dict):
    """Settings as the released file keeps them, of a class that nobody else has."""


def state():
    generator = torch.Generator().manual_seed(0)
    return {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def save(path, tensors, **beside):
    others = {"discriminator.D_conv1.weight": torch.zeros(32, 9), "smpl.betas": torch.zeros(1, 10)}
    beside = {"hyper_parameters": {"cfg": Config(a=1)}, "optimizer_states": [{"state": {}}], **beside}
    torch.save({"state_dict": {**tensors, **others}, **beside}, path)
    return path


def norm(x, tensors, name, epsilon):
    spread = ((x - x.mean(-1, keepdim=True)) ** 2).mean(-1, keepdim=True)
    scaled = (x - x.mean(-1, keepdim=True)) / (spread + epsilon).sqrt()
    return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def dense(x, tensors, name):
    return x @ tensors[f"{name}.weight"].T + tensors.get(f"{name}.bias", torch.zeros(1))


def gelu(x):
    return 0.5 * x * (1.0 + torch.erf(x / 2.0**0.5))


def attend(query, key, value, heads):
    """One head after the other."""
    size = query.shape[-1] // heads
    answers = []
    for head in range(heads):
        at = slice(head * size, (head + 1) * size)
        share = torch.softmax(query[..., at] @ key[..., at].mT / size**0.5, -1)
        answers.append(share @ value[..., at])
    return torch.cat(answers, -1)


def written_down(images, tensors):
    """The network of the paper in plain functions: pose as six numbers, shape, camera."""
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    patches = torch.stack(
        [padded[:, :, 16 * y : 16 * y + 16, 16 * x : 16 * x + 16].flatten(1) for y in range(16) for x in range(12)],
        1,
    )
    weight = tensors["backbone.patch_embed.proj.weight"].flatten(1)
    x = patches @ weight.T + tensors["backbone.patch_embed.proj.bias"]
    place = tensors["backbone.pos_embed"]
    x = x + place[:, 1:] + place[:, :1]
    for block in (f"backbone.blocks.{n}" for n in range(2)):
        query, key, value = dense(norm(x, tensors, f"{block}.norm1", 1e-6), tensors, f"{block}.attn.qkv").chunk(3, -1)
        x = x + dense(attend(query, key, value, 3), tensors, f"{block}.attn.proj")
        hidden = gelu(dense(norm(x, tensors, f"{block}.norm2", 1e-6), tensors, f"{block}.mlp.fc1"))
        x = x + dense(hidden, tensors, f"{block}.mlp.fc2")
    x = norm(x, tensors, "backbone.last_norm", 1e-6)
    base = "smpl_head.transformer"
    token = tensors[f"{base}.to_token_embedding.bias"] + tensors[f"{base}.pos_embedding"]
    token = token.expand(len(images), 1, D)
    for layer in (f"{base}.transformer.layers.{n}" for n in range(2)):
        asked = dense(norm(token, tensors, f"{layer}.0.norm", 1e-5), tensors, f"{layer}.0.fn.to_qkv").chunk(3, -1)
        token = token + dense(attend(*asked, 2), tensors, f"{layer}.0.fn.to_out.0")
        query = dense(norm(token, tensors, f"{layer}.1.norm", 1e-5), tensors, f"{layer}.1.fn.to_q")
        key, value = dense(x, tensors, f"{layer}.1.fn.to_kv").chunk(2, -1)
        token = token + dense(attend(query, key, value, 2), tensors, f"{layer}.1.fn.to_out.0")
        hidden = gelu(dense(norm(token, tensors, f"{layer}.2.norm", 1e-5), tensors, f"{layer}.2.fn.net.0"))
        token = token + dense(hidden, tensors, f"{layer}.2.fn.net.3")
    token = token[:, 0]
    return (
        dense(token, tensors, "smpl_head.decpose") + tensors["smpl_head.init_body_pose"],
        dense(token, tensors, "smpl_head.decshape") + tensors["smpl_head.init_betas"],
        dense(token, tensors, "smpl_head.deccam") + tensors["smpl_head.init_cam"],
    )


@torch.no_grad()
def test_the_forward_pass_is_the_one_written_down(tmp_path):
    weights = import_hmr2(save(tmp_path / "epoch=35.ckpt", state()), SIZES)
    images = torch.randn(2, 3, 256, 192, generator=torch.Generator().manual_seed(1))
    found, (pose, betas, weak) = weights.model(images), written_down(images, state())
    torch.testing.assert_close(found.betas, betas, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.weak, weak, atol=1e-4, rtol=1e-4)
    # The first three numbers of a joint are along its first column, not spread over rows as in SPIN.
    first = pose.view(2, 24, 6)[..., :3]
    torch.testing.assert_close(found.rotations[..., 0], first / first.norm(dim=-1, keepdim=True), atol=1e-4, rtol=1e-4)
    second = pose.view(2, 24, 6)[..., 3:]
    assert ((found.rotations[..., 1] * second).sum(-1) > 0).all()


def test_the_released_sizes_are_those_of_vit_h():
    config = HMRConfig("vit", image_size=256, head=HeadConfig(layout="block"), kind="hmr2", hmr2=HMR2Config())
    with torch.device("meta"):
        wanted = build_hmr(config).state_dict()
    assert wanted["encoder.blocks.31.attn.qkv.weight"].shape == (3840, 1280)
    assert wanted["encoder.pos_embed"].shape == (1, 193, 1280)
    assert wanted["head.transformer.transformer.layers.5.1.fn.to_kv.weight"].shape == (1024, 1280)
    assert wanted["head.transformer.transformer.layers.0.2.fn.net.3.weight"].shape == (1024, 1024)
    assert 6.6e8 < sum(tensor.numel() for tensor in wanted.values()) < 6.8e8


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"backbone.last_norm.bias": None}, "misses encoder.last_norm.bias"),
        ({"smpl_head.extra": torch.zeros(1)}, "has the extra head.extra"),
        ({"backbone.cls_token": torch.zeros(1)}, "has the extra encoder.cls_token"),
        ({"smpl_head.deccam.bias": torch.zeros(4)}, r"head.deccam.bias of shape \(4,\) instead of \(3,\)"),
        ({"smpl_head.deccam.bias": torch.full((3,), float("nan"))}, "not finite"),
    ],
    ids=["missing", "extra", "class token", "shape", "not finite"],
)
def test_a_checkpoint_that_does_not_fit_is_told_by_names(tmp_path, change, told):
    tensors = {name: tensor for name, tensor in {**state(), **change}.items() if tensor is not None}
    with pytest.raises(ValueError, match=told):
        import_hmr2(save(tmp_path / "a.ckpt", tensors), SIZES)


def test_a_checkpoint_is_known_by_its_ending_and_must_have_the_released_sizes(tmp_path):
    with pytest.raises(ValueError, match="does not fit the network"):
        load_weights(save(tmp_path / "a.ckpt", state()))


def test_the_network_is_saved_and_read_as_ours_too(tmp_path):
    weights = import_hmr2(save(tmp_path / "a.ckpt", state()), SIZES)
    save_weights(tmp_path / "a.safetensors", weights, half=False)
    again = load_weights(tmp_path / "a.safetensors")
    assert again.config == weights.config
    images = torch.randn(1, 3, 256, 192)
    with torch.no_grad():
        torch.testing.assert_close(again.model(images).rotations, weights.model(images).rotations)


def test_training_does_not_go_on_from_it(tmp_path):
    with pytest.raises(ValueError, match="does not feed networks of the kind 'hmr2'"):
        import_hmr2(save(tmp_path / "a.ckpt", state()), SIZES).to_train()


def test_kind_encoder_and_sizes_must_go_together():
    config = HMRConfig("vit", image_size=256, head=HeadConfig(layout="block"), kind="hmr2", hmr2=SIZES)
    for change in ({"encoder": "resnet50"}, {"kind": "fitloop"}, {"hmr2": None}):
        with pytest.raises(ValueError, match="'vit' is that of networks of the kind 'hmr2'"):
            replace(config, **change)
    with pytest.raises(ValueError, match="must divide by its 5 heads"):
        VitConfig(width=12, heads=5)


def test_crops_and_places_are_those_of_its_demo(tmp_path):
    weights = import_hmr2(save(tmp_path / "a.ckpt", state()), SIZES)
    weak = torch.tensor([[0.8, 0.05, -0.1]])
    with torch.no_grad():
        for layer in (weights.model.head.deccam, weights.model.head.decpose, weights.model.head.decshape):
            layer.weight.zero_()
            layer.bias.zero_()
        weights.model.head.init_cam.copy_(weak)
        weights.model.head.init_shape.zero_()
        weights.model.head.init_pose.copy_(torch.tensor([1.0, 0, 0, 0, 1.0, 0]).repeat(24)[None])
    body, fed = stick_body(), []
    weights.model.register_forward_pre_hook(lambda module, given: fed.append(given[0]))
    regressor = NetworkRegressor("hmr2", Weights(weights.model, weights.config, body.name), body)
    # In the photo's middle, where turned view and crop agree; wider than 3:4, so the width decides the crop.
    box = torch.tensor([[220.0, 140.0, 420.0, 340.0]])
    assert float(crop_of(RECIPES["hmr2"], box).side[0]) == pytest.approx(200.0 * 4 / 3)
    focal, middle = 5000.0 / 256.0 * 640.0, torch.tensor([320.0, 240.0])
    camera = Camera(torch.tensor(focal), middle)
    pixels = np.full((480, 640, 3), 128, np.uint8)
    blind = Detections(torch.zeros(1, 17, 2), torch.zeros(1, 17), box, "coco17")
    params = regressor(Image(pixels, camera, "a.png"), blind, camera).params
    assert fed[0].shape == (1, 3, 256, 192)
    torch.testing.assert_close(
        fed[0][0, :, 100, 100], (128 / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    )
    side = 200.0 * 4 / 3
    expected = torch.tensor([0.05, -0.1, 2.0 * focal / (side * 0.8)])
    torch.testing.assert_close(params.transl[0], expected, atol=1e-3, rtol=1e-4)

"""Files of autoencoders: ours, and VPoser's with the key names of its two releases."""

from collections import OrderedDict

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fitloop.fitting.prior import load_pose_prior
from fitloop.fitting.vae_prior import VaePrior
from fitloop.fitting.vae_prior_files import FORMAT, save_vae_prior
from fitloop.geometry import rotmat_to_rotvec

WIDTH, LATENT = 24, 8


def disturbed(module, seed=0):
    """Weights and statistics as after training: nothing is 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator) * 0.2
            tensor.copy_(drawn.abs() + 0.5 if "running_var" in name else drawn)
    return module.eval()


def version_1():
    """The modules of version 1, by their names."""
    layers = {
        **{"bodyprior_enc_bn1": nn.BatchNorm1d(63), "bodyprior_enc_fc1": nn.Linear(63, WIDTH)},
        **{"bodyprior_enc_bn2": nn.BatchNorm1d(WIDTH), "bodyprior_enc_fc2": nn.Linear(WIDTH, WIDTH)},
        **{"bodyprior_enc_mu": nn.Linear(WIDTH, LATENT), "bodyprior_enc_logvar": nn.Linear(WIDTH, LATENT)},
        **{"bodyprior_dec_fc1": nn.Linear(LATENT, WIDTH), "bodyprior_dec_fc2": nn.Linear(WIDTH, WIDTH)},
        "bodyprior_dec_out": nn.Linear(WIDTH, 126),
    }
    return disturbed(nn.ModuleDict(layers))


def version_2():
    """The modules of version 2, by their places in its sequences."""
    spread = nn.ModuleDict({"mu": nn.Linear(WIDTH, LATENT), "logvar": nn.Linear(WIDTH, LATENT)})
    encoder = nn.ModuleDict(
        {
            **{"1": nn.BatchNorm1d(63), "2": nn.Linear(63, WIDTH), "4": nn.BatchNorm1d(WIDTH)},
            **{"6": nn.Linear(WIDTH, WIDTH), "7": nn.Linear(WIDTH, WIDTH), "8": spread},
        }
    )
    decoder = nn.ModuleDict({"0": nn.Linear(LATENT, WIDTH), "3": nn.Linear(WIDTH, WIDTH), "5": nn.Linear(WIDTH, 126)})
    return disturbed(nn.ModuleDict({"encoder_net": encoder, "decoder_net": decoder}))


def gram_schmidt(six):
    columns = six.reshape(-1, 3, 2)
    first = columns[..., 0] / columns[..., 0].norm(dim=-1, keepdim=True)
    second = columns[..., 1] - (first * columns[..., 1]).sum(-1, keepdim=True) * first
    second = second / second.norm(dim=-1, keepdim=True)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


POSE = 0.4 * torch.randn(3, 69, generator=torch.Generator().manual_seed(4))


def assert_agrees(prior, code, six):
    prior = prior.to(torch.float32)
    torch.testing.assert_close(prior.encode(POSE), code, atol=1e-5, rtol=1e-4)
    rotations = gram_schmidt(six).view(3, 21, 3, 3)
    torch.testing.assert_close(prior.matrices(code), rotations, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(prior.decode(code)[:, :21], rotations, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_snapshot_of_version_1_answers_as_its_modules_do(tmp_path):
    net, leaky = version_1(), lambda x: nn.functional.leaky_relu(x, 0.2)
    hidden = leaky(net["bodyprior_enc_fc1"](net["bodyprior_enc_bn1"](POSE[:, :63])))
    hidden = leaky(net["bodyprior_enc_fc2"](net["bodyprior_enc_bn2"](hidden)))
    code = net["bodyprior_enc_mu"](hidden)
    hidden = leaky(net["bodyprior_dec_fc2"](leaky(net["bodyprior_dec_fc1"](code))))
    path = tmp_path / "TR00_E096.pt"
    named = OrderedDict((f"module.{name}", tensor) for name, tensor in net.state_dict().items())
    torch.save(named, path, _use_new_zipfile_serialization=False)
    assert_agrees(load_pose_prior(path), code, net["bodyprior_dec_out"](hidden))


@torch.no_grad()
def test_a_snapshot_of_version_2_answers_as_its_modules_do_beside_what_its_trainer_kept(tmp_path):
    net, leaky = version_2(), nn.functional.leaky_relu
    layer = net.get_submodule
    hidden = layer("encoder_net.4")(leaky(layer("encoder_net.2")(layer("encoder_net.1")(POSE[:, :63]))))
    code = layer("encoder_net.8.mu")(layer("encoder_net.7")(layer("encoder_net.6")(hidden)))
    six = layer("decoder_net.5")(leaky(layer("decoder_net.3")(leaky(layer("decoder_net.0")(code)))))
    path = tmp_path / "V02_05_epoch=08.ckpt"
    named = {f"vp_model.{name}": tensor for name, tensor in net.state_dict().items()}
    named["bm_train.init_betas"] = torch.zeros(1, 10)
    torch.save({"state_dict": named, "hyper_parameters": Settings(), "epoch": 8}, path)
    assert_agrees(load_pose_prior(path), code, six)


class Settings:
    """An object that runs when it is unpickled in earnest."""

    def __reduce__(self):
        return pytest.fail, ("something in the file was run",)


def test_an_energy_is_there_for_priors_of_others_too(tmp_path):
    path = tmp_path / "vposer.pt"
    torch.save(version_1().state_dict(), path)
    prior = load_pose_prior(path)
    assert isinstance(prior, VaePrior)
    energy = prior(
        torch.cat(
            [
                rotmat_to_rotvec(prior.decode(torch.zeros(LATENT).double())).flatten(),
            ]
        )
    )
    assert energy >= prior.lowest
    with pytest.raises(ValueError, match="keep VPoser's file"):
        save_vae_prior(tmp_path / "copy.safetensors", prior)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bodyprior_enc_mu.weight": None}, "misses bodyprior_enc_mu.weight"),
        ({"extra.weight": torch.zeros(1)}, "has the extra extra.weight"),
        ({"bodyprior_dec_fc1.bias": torch.full((WIDTH,), float("nan"))}, "not finite in bodyprior_dec_fc1.bias"),
        (
            {"bodyprior_dec_out.weight": torch.zeros(63, WIDTH), "bodyprior_dec_out.bias": torch.zeros(63)},
            "another body",
        ),
        ({"bodyprior_enc_bn1.weight": torch.ones(66)}, "sizes do not fit"),
    ],
    ids=["missing", "extra", "not finite", "other joints", "other sizes"],
)
def test_snapshots_that_do_not_fit_say_why(tmp_path, change, told):
    tensors = {**version_1().state_dict(), **change}
    path = tmp_path / "vposer.pt"
    torch.save({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    with pytest.raises(ValueError, match=told):
        load_pose_prior(path)


def test_our_file_comes_back_and_tells_what_is_wrong_with_it(tmp_path):
    prior = load_pose_prior("vae")
    path = tmp_path / "prior.safetensors"
    save_vae_prior(path, prior)
    pose = POSE.double()
    torch.testing.assert_close(load_pose_prior(path)(pose), prior(pose))
    tensors = load_file(path)
    header = {"format": FORMAT, "version": "1", "joints": '["knee"]', "slopes": "[[0.2, 0.2], [0.2, 0.2]]"}
    save_file(tensors, path, header)
    with pytest.raises(ValueError, match="another body: it has 1 joints, knee"):
        load_pose_prior(path)
    save_file(tensors, path, {**header, "version": "2"})
    with pytest.raises(ValueError, match="version '2'; this program reads 'fitloop-pose-prior' version '1'"):
        load_pose_prior(path)
    save_file(tensors, path, {**header, "slopes": "?"})
    with pytest.raises(ValueError, match="header was changed"):
        load_pose_prior(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_pose_prior(path)

import json
import pickle
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from toy import stick_body

from fitloop.regressor import HeadConfig, HMRConfig, Weights, build_hmr, load_weights, save_weights
from fitloop.regressor.hmr import HMR
from fitloop.regressor.resnet import ResNet
from fitloop.regressor.starts import load_backbone

SMALL = HMRConfig(width=16, blocks=1, head=HeadConfig(2, 16, 0.0))


def small_weights(seed: int = 0) -> Weights:
    torch.manual_seed(seed)
    return Weights(build_hmr(SMALL).eval(), SMALL, "stick-1")


def spin_state(extra: int = 0, prefix: str = "") -> dict[str, torch.Tensor]:
    """A state dict with the exact keys and shapes of SPIN's (and with a prefix and 3 extra inputs CLIFF's) weights."""
    generator = torch.Generator().manual_seed(0)

    def fill(*shape: int) -> torch.Tensor:
        return 0.01 * torch.randn(*shape, generator=generator)

    def norm(name: str, channels: int) -> dict[str, torch.Tensor]:
        return {
            f"{name}.weight": torch.ones(channels),
            f"{name}.bias": fill(channels),
            f"{name}.running_mean": fill(channels),
            f"{name}.running_var": torch.ones(channels),
            f"{name}.num_batches_tracked": torch.tensor(7),
        }

    state = {"conv1.weight": fill(64, 3, 7, 7), **norm("bn1", 64)}
    inner = 64
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        width = 32 * 2**stage
        for number in range(blocks):
            name = f"layer{stage}.{number}"
            state[f"{name}.conv1.weight"] = fill(width, inner, 1, 1)
            state[f"{name}.conv2.weight"] = fill(width, width, 3, 3)
            state[f"{name}.conv3.weight"] = fill(4 * width, width, 1, 1)
            state |= norm(f"{name}.bn1", width) | norm(f"{name}.bn2", width) | norm(f"{name}.bn3", 4 * width)
            if number == 0:
                state[f"{name}.downsample.0.weight"] = fill(4 * width, inner, 1, 1)
                state |= norm(f"{name}.downsample.1", 4 * width)
            inner = 4 * width
    state = {prefix + name: tensor for name, tensor in state.items()}
    for name, (rows, columns) in {
        **{"fc1": (1024, 2205 + extra), "fc2": (1024, 1024), "decpose": (144, 1024)},
        **{"decshape": (10, 1024), "deccam": (3, 1024)},
    }.items():
        state |= {f"{name}.weight": fill(rows, columns), f"{name}.bias": fill(rows)}
    pose = torch.tensor([1.0, 0.0, 0.0, -1.0, 0.0, 0.0] + [1.0, 0.0, 0.0, 1.0, 0.0, 0.0] * 23)
    return state | {"init_pose": pose[None], "init_shape": fill(1, 10), "init_cam": torch.tensor([[0.9, 0.0, 0.0]])}


def save_spin(path: Path, state: dict[str, torch.Tensor]) -> Path:
    others = {"optimizer": {"state": {}}, "epoch": 50, "batch_idx": 3, "batch_size": 64, "dataset_perm": [2, 0, 1]}
    torch.save({"model": state, **others, "total_step_count": 9}, path)
    return path


def test_saved_weights_load_back(tmp_path):
    weights, path = small_weights(), tmp_path / "a.safetensors"
    save_weights(path, weights, half=False)
    loaded = load_weights(path)
    assert (loaded.config, loaded.body) == (SMALL, "stick-1")
    for name, tensor in weights.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)
    assert not loaded.model.training


def test_half_precision_halves_the_file_and_loads_as_float(tmp_path):
    weights = small_weights()
    save_weights(tmp_path / "full.safetensors", weights, half=False)
    save_weights(tmp_path / "half.safetensors", weights)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.65 * sizes[1]
    loaded = load_weights(tmp_path / "half.safetensors").model.state_dict()["head.fc1.weight"]
    assert loaded.dtype == torch.float32
    torch.testing.assert_close(loaded, weights.model.state_dict()["head.fc1.weight"], atol=1e-3, rtol=1e-3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.safetensors"):
        load_weights(tmp_path / "none.safetensors")


@pytest.mark.parametrize("kept", [0, 5, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = tmp_path / "a.safetensors"
    save_weights(path, small_weights())
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_weights(path)


def header(**changes) -> str:
    """A description of the network with other values."""
    return json.dumps({**asdict(small_weights().config), **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "other"}, "is 'other' version '1'; this program reads 'fitloop-regressor' version '1'"),
        ({"version": "2"}, "version '2'"),
        ({"config": "{}"}, "does not say what network"),
        ({"config": "not json"}, "does not say what network"),
        ({"config": "[]"}, "does not say what network"),
        ({"config": header(encoder="telepathy")}, "(?s)does not say what network.*telepathy"),
        ({"config": header(width=10**12)}, "does not say what network.*whole number between 1 and 8192 for width"),
        ({"config": header(blocks=10**12)}, "does not say what network.*for blocks"),
        ({"config": header(width="wide")}, "(?s)does not say what network.*wide"),
        ({"config": header(camera_point="knee")}, "does not say what network"),
        ({"config": header(kind="vibe")}, "(?s)does not say what network.*vibe"),
        ({"config": header(width=8192)}, "does not fit the network: it has encoder"),
        ({"keypoints": json.dumps(["nose"])}, "other keypoints"),
    ],
)
def test_a_file_of_another_kind_or_version_is_refused(tmp_path, changes, words):
    path = tmp_path / "a.safetensors"
    save_weights(path, small_weights())
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file(load_file(path), path, {**metadata, **changes})
    with pytest.raises(ValueError, match=words):
        load_weights(path)


def test_a_file_that_tells_no_version_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(path, small_weights())
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    del metadata["version"]
    save_file(load_file(path), path, metadata)
    with pytest.raises(ValueError, match="version None; this program reads"):
        load_weights(path)


def test_tensors_of_another_network_are_named(tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(path, small_weights())
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["head.fc9.weight"] = tensors.pop("head.fc2.weight")
    tensors["head.fc2.bias"] = torch.full((16,), torch.nan)
    tensors["head.deccam.bias"] = torch.zeros(4)
    save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match="misses head.fc2.weight; it has the extra head.fc9.weight") as error:
        load_weights(path)
    assert "head.deccam.bias of shape (4,) instead of (3,)" in str(error.value)
    assert "head.fc2.bias that are not finite" in str(error.value)


def test_weights_of_another_body_are_refused_naming_both():
    weights = replace(small_weights(), body="open-1")
    with pytest.raises(ValueError, match="regress body 'open-1', but body 'stick-1' is loaded"):
        weights.check_body(stick_body())
    small_weights().check_body(stick_body())
    replace(small_weights(), body="stick").check_body(stick_body())


def test_spins_checkpoint_loads_strictly(tmp_path):
    state = spin_state()
    weights = load_weights(save_spin(tmp_path / "2019_06_01.pt", state))
    assert (weights.body, weights.config.encoder, weights.config.kind) == ("smpl", "resnet50", "spin")
    loaded = weights.model.state_dict()
    assert len(loaded) == len(state)
    assert torch.equal(loaded["encoder.layer3.4.conv2.weight"], state["layer3.4.conv2.weight"])
    assert torch.equal(loaded["head.init_pose"], state["init_pose"])
    with torch.no_grad():
        output = weights.model(torch.zeros(1, 3, 64, 64))
    assert output.rotations.shape == (1, 24, 3, 3)
    state["smpl.faces"] = state.pop("decpose.bias")
    with pytest.raises(ValueError, match="misses head.decpose.bias; it has the extra smpl.faces"):
        load_weights(save_spin(tmp_path / "a.pt", state))


def test_cliffs_checkpoint_and_the_prefix_of_parallel_training_are_understood(tmp_path):
    state = {"module." + name: tensor for name, tensor in spin_state(3, "encoder.").items()}
    weights = load_weights(save_spin(tmp_path / "cliff.pt", state))
    assert (weights.config.kind, weights.config.crop_size, weights.config.head.extra_inputs) == ("cliff", (256, 192), 3)
    with torch.no_grad():
        assert weights.model(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3)).betas.shape == (1, 10)


def test_a_file_from_before_the_kinds_were_named_is_read_as_it_was_meant(tmp_path):
    torch.manual_seed(0)
    config = HMRConfig("resnet18", width=8, head=HeadConfig(hidden=8), kind="spin")
    path = tmp_path / "a.safetensors"
    save_weights(path, Weights(build_hmr(config), config, "stick-1"))
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tree = json.loads(metadata["config"])
    older = {key: value for key, value in tree.items() if key != "kind"} | {"camera_point": "origin"}
    save_file(load_file(path), path, {**metadata, "config": json.dumps(older)})
    assert load_weights(path).config.recipe == config.recipe


def test_training_goes_on_with_spins_weights_as_ours_and_refuses_cliffs():
    spin = HMRConfig("resnet18", width=8, head=HeadConfig(hidden=8), kind="spin")
    for config in (spin, replace(spin, kind="fitloop", camera_point="origin")):
        trained = Weights(build_hmr(config), config, "smpl").to_train().config
        assert (trained.kind, trained.recipe.camera_point) == ("fitloop", "pelvis")
    cliff = replace(spin, kind="cliff", head=HeadConfig(hidden=8, extra_inputs=3))
    with pytest.raises(ValueError, match="does not feed networks of the kind 'cliff'"):
        Weights(build_hmr(cliff), cliff, "smpl").to_train()


def without_counters(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_spins_checkpoint_without_batch_counters_loads(tmp_path, prefix):
    state = {prefix + name: tensor for name, tensor in without_counters(spin_state()).items()}
    loaded = load_weights(save_spin(tmp_path / "a.pt", state)).model.state_dict()
    assert int(loaded["encoder.bn1.num_batches_tracked"]) == 0
    assert torch.equal(loaded["encoder.bn1.running_mean"], state[prefix + "bn1.running_mean"])


def test_a_batch_counter_stands_in_for_nothing_else(tmp_path):
    state = without_counters(spin_state())
    del state["bn1.running_mean"]
    with pytest.raises(ValueError, match=r"misses encoder.bn1.num_batches_tracked, encoder.bn1.running_mean\."):
        load_weights(save_spin(tmp_path / "a.pt", state))


def test_the_order_of_spins_data_may_be_an_array_and_its_counts_numpys(tmp_path):
    others = {"dataset_perm": np.arange(40)[::-1].copy(), "total_step_count": np.int64(9), "loss": np.float32(0.5)}
    torch.save({"model": spin_state(), **others}, tmp_path / "a.pt")
    assert load_weights(tmp_path / "a.pt").config.kind == "spin"


def hrnet_state() -> dict[str, torch.Tensor]:
    names = [
        f"stage{stage}.{module}.branches.{branch}.{block}.{part}"
        for stage in (2, 3, 4)
        for module in range(4)
        for branch in range(4)
        for block in range(4)
        for part in ("conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight")
    ]
    return {f"encoder.{name}": torch.zeros(1) for name in names}


def deeper_state() -> dict[str, torch.Tensor]:
    state = spin_state()
    return state | {
        name.replace("layer3.5.", f"layer3.{block}."): tensor
        for block in range(6, 23)
        for name, tensor in state.items()
        if name.startswith("layer3.5.")
    }


def transformer_state() -> dict[str, torch.Tensor]:
    return {f"backbone.blocks.{block}.attn.qkv.weight": torch.zeros(1) for block in range(32)}


@pytest.mark.parametrize(
    ("state", "name"),
    [(hrnet_state, "an HRNet"), (deeper_state, "a ResNet-101"), (transformer_state, "a vision transformer")],
)
def test_another_backbone_is_named_in_a_few_lines(tmp_path, state, name):
    with pytest.raises(ValueError, match=f"holds {name}, only a ResNet-50 can be read here: it ") as error:
        load_weights(save_spin(tmp_path / "a.pt", state()))
    assert len(str(error.value)) < 1000 and " more" in str(error.value)


@pytest.mark.parametrize("data", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_what_is_no_checkpoint_is_refused(tmp_path, data):
    (tmp_path / "a.pt").write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read as a checkpoint of tensors"):
        load_weights(tmp_path / "a.pt")


def test_a_truncated_checkpoint_is_refused(tmp_path):
    path = save_spin(tmp_path / "a.pt", {"conv1.weight": torch.zeros(64, 3, 7, 7)})
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(ValueError, match="cannot be read as a checkpoint of tensors"):
        load_weights(path)


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_a_hostile_checkpoint_runs_nothing(tmp_path, protocol):
    trace = tmp_path / "it-ran"

    class Bomb:
        def __reduce__(self):
            return Path.touch, (trace,)

    path = tmp_path / "a.pt"
    if protocol == "torch":
        torch.save({"model": Bomb()}, path)
    else:
        path.write_bytes(pickle.dumps({"model": Bomb()}))
    with pytest.raises(ValueError, match="cannot be read as a checkpoint of tensors"):
        load_weights(path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [torch.zeros(3), {"model": {"a": 1}}, {"state_dict": {}, "epoch": 3}])
def test_a_checkpoint_without_a_model_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="holds a Tensor|no 'model' made of tensors"):
        load_weights(tmp_path / "a.pt")


def test_torchvisions_backbone_loads_without_its_classifier(tmp_path):
    torch.manual_seed(0)
    backbone = ResNet(18)
    state = {**backbone.state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    torch.save(state, tmp_path / "resnet18.pth")
    model = HMR(ResNet(18), HeadConfig(hidden=8))
    load_backbone(model, tmp_path / "resnet18.pth")
    assert torch.equal(model.encoder.state_dict()["conv1.weight"], state["conv1.weight"])
    # torchvision's files of 2017 have no batch counters.
    torch.save(without_counters(state), tmp_path / "resnet18.pth")
    load_backbone(model, tmp_path / "resnet18.pth")
    del state["layer4.1.bn2.weight"]
    torch.save(state, tmp_path / "resnet18.pth")
    with pytest.raises(ValueError, match="misses layer4.1.bn2.weight"):
        load_backbone(model, tmp_path / "resnet18.pth")


def test_a_missing_backbone_is_told_as_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no checkpoint .*resnet18.pth"):
        load_backbone(HMR(ResNet(18), HeadConfig(hidden=8)), tmp_path / "resnet18.pth")


def test_an_old_file_survives_a_failed_write(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_weights(path, small_weights())
    before = path.read_bytes()

    def full_disk(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fitloop.regressor.checkpoints.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_weights(path, small_weights(1))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_loading_weights_leaves_the_compiler_of_pytorch_alone():
    # It takes a second of every start, and whatever looks at numbers on the device "meta" brings it.
    script = (
        "import sys; from fitloop.body import load_body; from fitloop.regressor import load_regressor; "
        "load_regressor('keypoints', load_body()); assert 'torch._dynamo' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

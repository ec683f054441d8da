"""A toy run of fitting in the loop: stick figures, a tiny network. Started by torchrun it is one process of several."""

import sys
from pathlib import Path

import torch

sys.path[:0] = [str(Path(__file__).parent)]

from toy import random_params, stick_body, toy_camera  # noqa: E402

from fitloop.body import KeypointKinematics  # noqa: E402
from fitloop.body.keypoints import SPIN_24  # noqa: E402
from fitloop.data.spin_format import SpinDataset  # noqa: E402
from fitloop.geometry import project  # noqa: E402
from fitloop.pipelines.spin.config import SpinConfig  # noqa: E402
from fitloop.pipelines.spin.run import open_run_of  # noqa: E402
from fitloop.pipelines.spin.samples import make_crowd  # noqa: E402
from fitloop.pipelines.training.processes import Processes, join_processes  # noqa: E402
from fitloop.regressor import HeadConfig, HMRConfig, Weights, build_hmr, save_weights  # noqa: E402

BODY = stick_body()


def people(count, seed, name, hidden=0):
    """Stick figures seen by a camera, with 3D joints; of the first ``hidden`` ones nothing was seen."""
    params, camera = random_params(count, seed=seed, spread=0.25), toy_camera(count)
    points = KeypointKinematics(BODY, tuple(filter(None, SPIN_24.landmarks)))(params)
    pixels = project(points, camera)
    low, high = pixels.amin(1), pixels.amax(1)
    sure = torch.ones(count, 24, 1)
    sure[:hidden] = 0.0
    hips = points[:, [SPIN_24.index("left_hip"), SPIN_24.index("right_hip")]].mean(1, keepdim=True)
    return SpinDataset(
        name,
        tuple(f"{row}.jpg" for row in range(count)),
        ((low + high) / 2).numpy(),
        (1.2 * (high - low).amax(1) / 200).numpy(),
        torch.cat([pixels, sure], -1).numpy(),
        joints_3d=torch.cat([points - hips, torch.ones(count, 24, 1)], -1).numpy(),
        photo_sizes=torch.tensor([640.0, 480.0]).expand(count, 2).numpy(),
        body="stick",
    )


def network(folder, body=BODY.name):
    """Weights of a tiny network, the same ones every time."""
    path = folder / "tiny.safetensors"
    if not path.is_file():
        torch.manual_seed(0)
        config = HMRConfig("keypoints", width=32, blocks=1, head=HeadConfig(iterations=1, hidden=32, dropout=0.2))
        save_weights(path, Weights(build_hmr(config), config, body), half=False)
    return path


def toy_run(folder, name="run", processes=None, **options):
    """A run on 24 people, 8 of them measured."""
    settings = {"epochs": 2, "batch_size": 8, "save_every": 2, "learning_rate": 1e-3, "use_truth": False} | options
    config = SpinConfig(
        data=(Path("toy.npz"),), out=folder / name, body="stick", regressor=str(network(folder)), **settings
    )
    crowd = make_crowd([people(24, 1, "toy", hidden=2)], [None], BODY)
    apart = make_crowd([people(8, 2, "apart")], [None], BODY)
    return open_run_of(config, BODY, crowd, apart, processes or Processes())


if __name__ == "__main__":
    from fitloop.pipelines.spin.training import go_on

    torch.set_num_threads(1)
    with join_processes("cpu") as all_of_us:
        go_on(toy_run(Path(sys.argv[1]), sys.argv[2], all_of_us, shards=2))

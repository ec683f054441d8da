import pytest

from fitloop.data.synthetic import SceneConfig, load_assets, render_person_scene
from tests.small_assets import write_assets


@pytest.fixture(scope="session")
def asset_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assets")
    write_assets(folder)
    return folder


@pytest.fixture(scope="session")
def assets(asset_folder):
    return load_assets(asset_folder, 64)


@pytest.fixture(scope="session")
def make_photo(assets):
    def make(*seed, **changes):
        return render_person_scene(assets, seed, SceneConfig(**{"height": 128, "width": 160, **changes}))

    return make

"""Synthetic people in photos, with exact truth (docs/synthetic.md)."""

from fitloop.data.synthetic.assets import Assets as Assets
from fitloop.data.synthetic.assets import load_assets as load_assets
from fitloop.data.synthetic.config import SceneConfig as SceneConfig
from fitloop.data.synthetic.dataset import SyntheticPeople as SyntheticPeople
from fitloop.data.synthetic.dataset import SyntheticPeopleBatch as SyntheticPeopleBatch
from fitloop.data.synthetic.dataset import collate as collate
from fitloop.data.synthetic.scenes import render_person_scene as render_person_scene
from fitloop.data.synthetic.store import StoredPeople as StoredPeople
from fitloop.data.synthetic.truth import LANDMARKS as LANDMARKS
from fitloop.data.synthetic.truth import Maps as Maps
from fitloop.data.synthetic.truth import Person as Person
from fitloop.data.synthetic.truth import SyntheticPhoto as SyntheticPhoto

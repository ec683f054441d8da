"""Synthetic people in photos, with exact truth (docs/synthetic.md)."""

from data.synthetic.assets import Assets as Assets
from data.synthetic.assets import load_assets as load_assets
from data.synthetic.config import SceneConfig as SceneConfig
from data.synthetic.dataset import SyntheticPeople as SyntheticPeople
from data.synthetic.dataset import SyntheticPeopleBatch as SyntheticPeopleBatch
from data.synthetic.dataset import collate as collate
from data.synthetic.scenes import render_person_scene as render_person_scene
from data.synthetic.store import StoredPeople as StoredPeople
from data.synthetic.truth import LANDMARKS as LANDMARKS
from data.synthetic.truth import Maps as Maps
from data.synthetic.truth import Person as Person
from data.synthetic.truth import SyntheticPhoto as SyntheticPhoto

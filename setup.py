"""Packages under one root: `fitloop.body` is the folder body/, `fitloop` the repository's own `__init__.py`.

Everything else about the package stands in pyproject.toml; setuptools cannot prefix the packages that it finds.
"""

from setuptools import find_packages, setup

ROOMS = "geometry body rendering detection data regressor fitting refinement evaluation pipelines".split()
found = find_packages(include=[name for room in ROOMS for name in (room, f"{room}.*")])

setup(
    package_dir={"fitloop": "."},
    packages=["fitloop", *(f"fitloop.{name}" for name in found)],
    package_data={"fitloop": ["samples/*", *(f"{room}/assets/**/*" for room in ROOMS)]},
)

"""Photos, annotations, data sets, mocap and synthetic people: everything that comes from disk."""

from fitloop.data.images import UnreadableImage as UnreadableImage
from fitloop.data.images import find_images as find_images
from fitloop.data.images import load_image as load_image

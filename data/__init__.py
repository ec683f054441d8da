"""Photos, annotations, data sets, mocap and synthetic people: everything that comes from disk."""

from data.images import UnreadableImage as UnreadableImage
from data.images import find_images as find_images
from data.images import load_image as load_image

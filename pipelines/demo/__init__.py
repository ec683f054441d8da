"""A page in the browser that takes photos and clips and shows the bodies of their people."""

"""The main job over a folder of photos: streaming, resumable, with pictures and a page."""

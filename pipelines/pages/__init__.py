"""Pages and sheets that programs write."""

"""What networks learn from: batches of people, photos and bodies that err."""

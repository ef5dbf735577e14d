"""Programs that show foliot at work, made to be read."""

"""Text in, spaCy `Doc` out: sentence bounds, cue phrases, verdict spans."""

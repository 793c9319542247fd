"""Predictions for a text, a letter, or a folder of letters."""

"""Runs, models and searches in the tracking store: the one room that imports mlflow."""

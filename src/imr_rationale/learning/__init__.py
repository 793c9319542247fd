"""Annotated text in, a tracked and saved model out."""

"""Everything a person can look at of a training run, written as files.

One folder a data set, the same in each:

| file | holds |
| --- | --- |
| headlines.json, headlines.png | every headline with interval, baselines and ceiling |
| reasons.json, reasons.png | the same for F1 of each reason |
| precision_recall.png, calibration.png, certainty.png | curves |
| roles.json, roles.png, confusions.json, confusions.png | what is taken for what |
| outcomes.png | the outcome tasks side by side with the leak check |
| label_noise.json | annotations worth a second look |
| errors.html | the error browser |
| items.parquet, scores.parquet | every item, to be compared later |
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from imr_rationale.learning.evaluation import Evaluation
from imr_rationale.learning.model import RationaleModel
from imr_rationale.review import curves, pictures, tables
from imr_rationale.review.browser import render_error_browser
from imr_rationale.review.items import write_items
from imr_rationale.review.noise import list_label_noise
from imr_rationale.review.weights import list_weights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Picture

__all__ = ["ERRORS", "save_picture", "write_evaluation", "write_model", "write_table"]

ERRORS = "errors.html"
#: dots per inch of a picture: readable on a wide screen, some 50 kB
RESOLUTION = 90

TABLES: "Mapping[str, Callable[[Evaluation], pd.DataFrame]]" = MappingProxyType(
    {
        "headlines": tables.make_headline_table,
        "reasons": tables.make_label_table,
        "roles": lambda evaluation: tables.count_roles(evaluation).reset_index(names="annotators"),
        "confusions": lambda evaluation: tables.count_confusions(evaluation).reset_index(names="missed"),
        "label_noise": list_label_noise,
    }
)
PICTURES: "Mapping[str, Callable[[Evaluation], Picture]]" = MappingProxyType(
    {
        "headlines": pictures.draw_headlines,
        "reasons": pictures.draw_labels,
        "precision_recall": curves.draw_precision_recall,
        "calibration": curves.draw_calibration,
        "certainty": curves.draw_certainty,
        "roles": pictures.draw_role_confusion,
        "confusions": pictures.draw_label_confusion,
        "outcomes": pictures.draw_outcomes,
    }
)


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write the tables, pictures, error browser and items of one data set into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in TABLES.items():
        write_table(make(evaluation), folder / f"{name}.json")
    for name, draw in PICTURES.items():
        save_picture(draw(evaluation), folder / f"{name}.png")
    (folder / ERRORS).write_text(render_error_browser(evaluation), encoding="utf-8")
    write_items(evaluation, folder)


def write_model(model: RationaleModel, folder: Path) -> None:
    """Write what the model itself has learned: the strongest features of each reason."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(list_weights(model), folder / "weights.json")
    save_picture(pictures.draw_weights(model), folder / "weights.png")


def write_table(table: "pd.DataFrame", path: Path) -> None:
    """Write a table in the form that the tracking UI shows as one: `columns` and rows of `data`."""
    rows = [[None if value != value else value for value in row] for row in table.to_numpy(dtype=object).tolist()]
    path.write_text(json.dumps({"columns": [str(name) for name in table.columns], "data": rows}), encoding="utf-8")


def save_picture(picture: "Picture", path: Path) -> None:
    """Write a picture as PNG, the same bytes for the same picture."""
    picture.savefig(path, dpi=RESOLUTION, metadata={"Software": None})

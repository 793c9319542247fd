"""How the experiment shows itself in the UI: its runs, with the columns that tell models apart."""

import base64
import json
import zlib
from typing import Any
from urllib.parse import urlencode

__all__ = ["VIEW", "find_address", "make_view_tags"]

#: name of the saved view, and its key in an address
VIEW = "headlines"
COLUMNS = (
    "attributes.`Models`",
    "tags.`note`",
    "tags.`real_letters`",
    *(
        f"metrics.`{data}.{metric}`"
        for data in ("corpus_cv", "heldout", "letters_cv", "real")
        for metric in ("reasons.micro_f1", "reasons.macro_f1", "primary.accuracy", "reasoning.auroc")
    ),
    "metrics.`model.items_per_second`",
)
#: pixels that show a metric's whole name
WIDTH = 230


def make_view_tags() -> dict[str, str]:
    """Give the experiment's tags: it holds training runs, and one saved view with the columns above."""
    state = {
        "searchFilter": "",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS),
        "columnOrder": list(COLUMNS),
        "columnWidths": {name: WIDTH for name in COLUMNS if name.startswith("metrics.")},
        "runsHiddenMode": "FIRST_10_RUNS",
        "compareRunCharts": [_make_chart(name) for name in COLUMNS if name.startswith("metrics.")],
        "compareRunSections": [{"uuid": VIEW, "name": VIEW, "display": True, "isReordered": False}],
        "hideEmptyCharts": True,
        "groupBy": None,
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    view = {"name": VIEW, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"}
    return {"mlflow.experimentKind": "custom_model_development", f"mlflow.sharedViewState.{VIEW}": json.dumps(view)}


def _make_chart(column: str) -> dict[str, Any]:
    metric = column.removeprefix("metrics.`").removesuffix("`")
    return {
        "uuid": metric,
        "type": "BAR",
        "runsCountToCompare": 10,
        "metricSectionId": VIEW,
        "deleted": False,
        "isGenerated": False,
        "displayName": metric,
        "metricKey": metric,
    }


def find_address(server: str, experiment: Any) -> str:
    """Give the address of the experiment's runs on a server, in that view."""
    query = urlencode({"workflowType": "machine_learning", "viewStateShareKey": VIEW})
    return f"{server.rstrip('/')}/#/experiments/{experiment}/runs?{query}"

"""Side by side with what a user would take instead: all predict the reasons of the same rationales."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.figures import CPU, Figure, Sizes, Target, measure_rates, summarize
from bench.letters import CORPUS, make_item_texts

__all__ = ["SPACY_MODEL_RATE", "measure"]

#: rationales a second through en_core_web_sm, measured once on these two cores when the project was designed
#: (DESIGN.md, "Decisions already measured"); it gives no reasons, only tags and entities
SPACY_MODEL_RATE = 47.0
#: what the issue asks for
AS_FAST, TEXTCAT = 1.0, 5.0
ITEMS = "items/s"


def measure(sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Train the rivals on the corpus, then let all take turns on texts that none has seen.

    The rivals give one probability a reason. The model's rate is for reasons, evidence and outcomes.
    """
    from imr_rationale.serving.predict import load_model

    texts, y = _read_items(sizes.rival_items)
    model, tfidf, textcat = load_model(), _fit_tfidf(texts, y), _fit_textcat(texts, y, sizes.rival_epochs)
    items = [make_item_texts(sizes.texts, start=10_000 + i * sizes.texts) for i in range(sizes.n_rounds)]
    rationales = [[item.rationale for item in found] for found in items]
    model.predict(items[0][:20])
    tasks = {
        "model": lambda i: len(model.predict(items[i])),
        "tfidf": lambda i: len(tfidf.predict_proba(rationales[i])),
        "textcat": lambda i: sum(1 for _ in textcat.pipe(rationales[i])),
    }
    rates = measure_rates(tasks, sizes.n_rounds)
    trained = f"trained on {len(texts):,} items"
    about = {
        "tfidf": f"TfidfVectorizer(1, 2) + one-vs-rest logistic regression, {trained}",
        "textcat": f"spaCy textcat_multilabel, TextCatBOW.v3, {trained}",
    }
    options: dict[str, Any] = {"unit": ITEMS, "clock": CPU, "size": sizes.texts}
    for name, what in about.items():
        yield Figure(f"rivals.{name}", what, **summarize(rates[name]), **options)
    yield Figure(
        "rivals.en_core_web_sm", "en_core_web_sm, as measured in DESIGN.md, not in this run", SPACY_MODEL_RATE, ITEMS
    )
    for rival, target in (("tfidf", Target(AS_FAST)), ("textcat", Target(TEXTCAT)), ("en_core_web_sm", None)):
        yield Figure(
            f"rivals.model_against_{rival}", f"texts -> predictions, in process, against {rival}",
            **summarize(rates["model"]), beside=f"rivals.{rival}", target=target, **options,
        )  # fmt: skip


def _read_items(n_items: int) -> tuple[list[str], np.ndarray]:
    from imr_rationale.labels import REASONS
    from imr_rationale.learning.corpus import read_corpus

    items = [item for letter in read_corpus(CORPUS) for item in letter.items]
    items = items[:: max(1, len(items) // n_items)][:n_items]
    y = np.array([[reason in item.reasons for reason in REASONS] for item in items])
    return [item.rationale for item in items], y


def _fit_tfidf(texts: list[str], y: np.ndarray) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    with warnings.catch_warnings():
        # a reason that few items hold may be absent from a small part of the corpus
        warnings.filterwarnings("ignore", message="Label not", category=UserWarning)
        classifier = OneVsRestClassifier(LogisticRegression(max_iter=1000))
        return make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), classifier).fit(texts, y)


def _fit_textcat(texts: list[str], y: np.ndarray, n_epochs: int) -> Any:
    """Train spaCy's bag of words in few epochs: its speed does not depend on how well it learned."""
    import spacy
    from spacy.training import Example
    from spacy.util import fix_random_seed, minibatch

    from imr_rationale.labels import REASONS

    fix_random_seed(0)
    nlp = spacy.blank("en")
    model = {
        "@architectures": "spacy.TextCatBOW.v3",
        "exclusive_classes": False,
        "ngram_size": 1,
        "no_output_layer": False,
        "length": 262144,
    }
    nlp.add_pipe("textcat_multilabel", config={"model": model})
    examples = [
        Example.from_dict(nlp.make_doc(text), {"cats": dict(zip(REASONS, map(float, row), strict=True))})
        for text, row in zip(texts, y, strict=True)
    ]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(n_epochs):
        for batch in minibatch(examples, 64):
            nlp.update(batch, sgd=optimizer)
    return nlp

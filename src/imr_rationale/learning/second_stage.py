"""What the second stage reads: roles in context, reasons as candidates, and probabilities set right."""

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from imr_rationale.labels import POLARITY, REASONS, ROLES
from imr_rationale.learning.linear import Floats, Linear

__all__ = [
    "FINDING",
    "N_RANK_FEATURES",
    "N_ROLE_CONTEXT",
    "ROLE_CODES",
    "calibrate_reasons",
    "make_calibration_features",
    "make_log_odds",
    "make_rank_features",
    "make_role_context",
]

#: columns of role probabilities
ROLE_CODES = tuple(ROLES)
FINDING, GUIDELINE = ROLE_CODES.index("F"), ROLE_CODES.index("G")
#: what a sentence's company is described by: roles next to it and two counts, each before and after it; its place
N_COMPANY = 2 * (len(ROLE_CODES) + 2 * 2) + 3
#: columns of `make_role_context` and of `make_rank_features`
N_ROLE_CONTEXT = len(ROLE_CODES) + N_COMPANY + len(ROLE_CODES) * N_COMPANY
N_RANK_FEATURES = 15 + len(REASONS) + len(REASONS) ** 2


def make_role_context(
    proba: npt.NDArray[np.floating], item_of_sentence: npt.NDArray[np.int64]
) -> npt.NDArray[np.floating]:
    """Describe each sentence by its own role probabilities in the company of its item's other sentences.

    A fact is a finding or background by what stands around it: nothing but the verdict follows a finding,
    guidelines come before it. The second regression reads products of the sentence's own log-probabilities with
    its neighbours' probabilities, the expected numbers of findings and guideline sentences before and after it,
    and its place.

    Parameters
    ----------
    proba : ndarray of shape (n_sentences, n_roles)
    item_of_sentence : ndarray of shape (n_sentences,)
        Sorted.

    Returns
    -------
    ndarray of shape (n_sentences, N_ROLE_CONTEXT)
        In the precision of `proba`.
    """
    n, n_roles = proba.shape
    own = np.log(proba + 1e-3)
    before = np.zeros_like(proba)
    after = np.zeros_like(proba)
    inside = item_of_sentence[1:] == item_of_sentence[:-1]
    before[1:][inside] = proba[:-1][inside]
    after[:-1][inside] = proba[1:][inside]
    starts = np.searchsorted(item_of_sentence, item_of_sentence, side="left")
    ends = np.searchsorted(item_of_sentence, item_of_sentence, side="right")
    place = np.arange(n)
    sums = np.vstack([np.zeros(n_roles), np.cumsum(proba, axis=0, dtype=np.float64)])[:, [FINDING, GUIDELINE]]
    counts = np.hstack([sums[place] - sums[starts], sums[ends] - sums[place + 1]])
    relative = (place - starts) / np.maximum(ends - starts - 1, 1)
    edges = np.column_stack([relative, place == starts, place == ends - 1])
    company = np.hstack([before, after, np.clip(counts, 0, 1), np.clip(counts, 0, 3) / 3, edges], dtype=proba.dtype)
    products = (own[:, :, None] * company[:, None, :]).reshape(n, n_roles * company.shape[1])
    return np.hstack([own, company, products])


def make_calibration_features(scores: Floats) -> Floats:
    """Give the log-odds of each score, and which reason it is of.

    Parameters
    ----------
    scores : ndarray of shape (n_items, n_reasons)
        Each item's best sentence score.

    Returns
    -------
    ndarray of shape (n_items * n_reasons, 1 + n_reasons)
    """
    labels = np.tile(np.eye(scores.shape[1]), (len(scores), 1))
    return np.hstack([make_log_odds(scores).reshape(-1, 1), labels])


def calibrate_reasons(calibration: Linear, scores: Floats) -> Floats:
    """Give the probability that each reason holds, shape (n_items, n_reasons), from the items' best sentence scores.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines" (1999): a logistic regression on the score, here with
    one slope for all reasons and an intercept for each.
    """
    slope, offsets = calibration.coef[0, 0], calibration.coef[1:, 0]
    return np.asarray(expit(slope * make_log_odds(scores) + offsets + calibration.intercept[0]), dtype=np.float64)


def make_log_odds(scores: Floats) -> Floats:
    """Give the log-odds of probabilities, those at the very edge drawn in."""
    return np.asarray(logit(np.clip(scores, 1e-4, 1 - 1e-4)), dtype=np.float64)


def make_rank_features(reasons: Floats, roles: Floats, verdicts: Floats, proba: Floats, overturned: float) -> Floats:
    """Describe each reason of one item as a candidate for the primary one.

    Reviewers state the ground that decides first and return to it: what counts is the probability, whether the
    reason speaks for the outcome, how often it is shown, how many findings stand before it, whether it stands in
    the sentence that decides, and which rivals it has: missing documents, say, yield to a narrower ground.

    Parameters
    ----------
    reasons : ndarray of shape (n_sentences, n_reasons)
        Scores of sentences.
    roles : ndarray of shape (n_sentences, n_roles)
    verdicts : ndarray of shape (n_sentences,)
        Probability that a sentence gives the outcome away.
    proba : ndarray of shape (n_reasons,)
        Calibrated probabilities of the item's reasons.
    overturned : float
        Probability of Overturned by the rationale's verdict.

    Returns
    -------
    ndarray of shape (n_reasons, N_RANK_FEATURES)
    """
    n, n_reasons = reasons.shape
    where = reasons.argmax(axis=0)
    second = np.sort(reasons, axis=0)[-2] if n > 1 else np.zeros(n_reasons)
    findings = roles[:, FINDING]
    before = np.cumsum(findings) - findings
    after = findings.sum() - before - findings
    wanted = 1 if overturned >= 0.5 else -1
    speaks = np.array([POLARITY[reason] in (wanted, 0) for reason in REASONS], dtype=np.float64)
    speaking = proba * speaks
    top = np.sort(speaking)
    rival = np.where(speaking == top[-1], top[-2], top[-1])
    log_proba = np.log(proba + 1e-3)
    rivals = np.tile(speaking, (n_reasons, 1))
    np.fill_diagonal(rivals, 0)
    return np.column_stack(
        [
            log_proba,
            proba,
            second,
            reasons.sum(axis=0),
            speaks,
            log_proba * speaks,
            where / max(n - 1, 1),
            before[where] / max(findings.sum(), 1e-6),
            before[where] < 0.5,
            after[where] < 0.5,
            speaking - rival,
            np.log(rival + 1e-3),
            verdicts[where],
            verdicts[where] * proba,
            (reasons * verdicts[:, None]).max(axis=0),
            np.eye(n_reasons),
            (np.eye(n_reasons)[:, :, None] * rivals[:, None, :]).reshape(n_reasons, -1),
        ]
    )

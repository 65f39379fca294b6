"""How well predictions agree with labels; pure NumPy.

``frames`` has DeepEthogram's definitions, so that numbers can be compared with published ones.
``scores`` has the exact ones, as scikit-learn defines them, for labels with gaps. ``bouts`` counts
bouts in place of frames, ``calibration`` asks whether probabilities mean what they say.
"""

from soupxr.metrics.bouts import BoutTally, iou_matches, tally_bouts
from soupxr.metrics.calibration import (
    expected_calibration_error,
    fit_temperature,
    temperature_scaled,
)
from soupxr.metrics.frames import (
    EpochMetrics,
    ThresholdCurves,
    default_thresholds,
    epoch_metrics,
    fbeta,
    optimum_thresholds,
    predict,
    threshold_curves,
)
from soupxr.metrics.scores import (
    FrameScores,
    auroc,
    average_precision,
    confusion_counts,
    mean_known,
    precision_recall_curve,
    predicted_counts,
    predicted_share,
    rank_scores,
    scores_from,
    share_from,
)

__all__ = [
    "BoutTally",
    "EpochMetrics",
    "FrameScores",
    "ThresholdCurves",
    "auroc",
    "average_precision",
    "confusion_counts",
    "default_thresholds",
    "epoch_metrics",
    "expected_calibration_error",
    "fbeta",
    "fit_temperature",
    "iou_matches",
    "mean_known",
    "optimum_thresholds",
    "precision_recall_curve",
    "predict",
    "predicted_counts",
    "predicted_share",
    "rank_scores",
    "scores_from",
    "share_from",
    "tally_bouts",
    "temperature_scaled",
    "threshold_curves",
]

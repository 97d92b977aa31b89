"""Deep-feature anomaly detectors on industrial images: the mathematics behind the workflow.

One folder per stage, in the direction the data flows: ``acquisition → images → features →
scorers → evaluation → reports``. What serves all of them lies beside them.
"""

__version__ = "0.1.0"

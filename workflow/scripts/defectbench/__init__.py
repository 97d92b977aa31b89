"""Deep-feature anomaly detectors on industrial images: the mathematics behind the workflow.

Modules import in the direction the data flows: ``datasets → images → backbones → features →
scorers → evaluation → tables``; ``storage``, ``provenance`` and ``errors`` serve all of them.
"""

__version__ = "0.1.0"

"""Deep-feature anomaly detectors on industrial images: all that the workflow's scripts call.

One folder per stage, in the direction in which data flow and modules import: ``images → sources →
features → scorers → evaluation → reports → studies → deployment → config``. What serves all of them
lies beside the folders.
"""

import os

__version__ = "0.1.0"

# Importing onnxruntime would keep an identifier of the machine under the home folder and report
# what runs to its makers; huggingface_hub, by which timm fetches weights, would ask an address of
# its own who is calling. Both look here, once, when they are imported: later is too late. Jobs and
# other child processes inherit it.
os.environ |= {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

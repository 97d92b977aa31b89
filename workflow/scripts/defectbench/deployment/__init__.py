"""A detector that leaves the workflow: one ONNX file that scores new images as the benchmark did.

Writing one (`card`, `export`, `graphs`) needs PyTorch and onnx. Using one (`detector`, `folder`)
and setting its threshold anew (`calibration`), with what they import, needs onnxruntime, NumPy and
Pillow alone.
"""

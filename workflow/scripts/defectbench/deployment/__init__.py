"""A detector that leaves the workflow: one ONNX file that scores new images as the benchmark did.

Writing one (`export`, `graphs`) needs PyTorch and onnx. Using one (everything else) needs
onnxruntime, NumPy and Pillow alone.
"""

"""The bidirectional selective scan and its convolution, with a choice of kernels."""

from fakesound.models.scan.kernels import resolve_kernel
from fakesound.models.scan.op import bidirectional_conv, bidirectional_scan

__all__ = ["bidirectional_conv", "bidirectional_scan", "resolve_kernel"]

"""ONNX files of every backbone have the scores of their detectors."""

import onnx
import pytest

from fakesound.config.model import KINDS
from fakesound.exporting import WaveformScorer, largest_difference, onnx_bytes
from tests.exporting.conftest import RATE, small_detector

METADATA = {"sample_rate": "16000", "frame_step": "0.02"}
# overrides of each kind of backbone
PARTICULAR = {
    "transformer": (
        "backbone.head_dim=8",
        "backbone.pos_embed=true",
        "backbone.stem.kind=patch",
        "backbone.stem.patch=[16,8]",
        "backbone.class_token=false",
    ),
    # more tokens than a chunk has
    "ssd": (
        "backbone.head_dim=8",
        "backbone.stem.kind=patch",
        "backbone.stem.patch=[4,2]",
    ),
    "mobilenet": ("backbone.expand=3",),
    "deeplab": ("backbone.expand=3", "features.kind=mel", "heads.pooling=summary"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_files_score_like_their_detectors(kind):
    # back to what kinds without have instead of the states of the small Vision Mamba
    plain = () if "state" in KINDS[kind] else ("backbone.state=16",)
    overrides = (f"backbone.kind={kind}", *plain, *PARTICULAR.get(kind, ()))
    config, detector = small_detector(*overrides)
    seconds = config.data.window_seconds
    held = onnx_bytes(WaveformScorer(detector, RATE, seconds), METADATA)
    onnx.checker.check_model(onnx.load_from_string(held), full_check=True)
    assert largest_difference(held, detector, RATE, seconds) < 1e-5

"""People as detectors: a blind listening test in the browser, and what they said as scores."""

from fakesound.listeners.answers import Answer, AnswerLog
from fakesound.listeners.drawing import draw_pairs
from fakesound.listeners.listening_test import ListeningTest, Settings, make_test, open_test
from fakesound.listeners.scores import listener_scores, pooled_scores, write_listener_scores

__all__ = [
    "Answer",
    "AnswerLog",
    "ListeningTest",
    "Settings",
    "draw_pairs",
    "listener_scores",
    "make_test",
    "open_test",
    "pooled_scores",
    "write_listener_scores",
]

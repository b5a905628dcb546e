"""Run a blind listening test in the browser and convert its answers to scores."""

from fakesound.listening_test.answers import Answer, AnswerLog
from fakesound.listening_test.drawing import draw_pairs, draw_thirds
from fakesound.listening_test.listening_test import ListeningTest, Settings, make_test, open_test
from fakesound.listening_test.scores import pooled_scores, write_listener_scores

__all__ = [
    "Answer",
    "AnswerLog",
    "ListeningTest",
    "Settings",
    "draw_pairs",
    "draw_thirds",
    "make_test",
    "open_test",
    "pooled_scores",
    "write_listener_scores",
]

"""A small labelled corpus, and a running server of a listening test."""

import http.client
import json
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from fakesound.data.audio import write_wav
from fakesound.data.manifest import write_manifest
from fakesound.data.samples import to_pcm
from fakesound.listening_test import AnswerLog, Settings, make_test, open_test
from fakesound.listening_test.server import ListeningServer
from fakesound.listening_test.session import Session
from fakesound.timeline import Region
from tests.factories import make_clip

ATTACKS = ("vocoder/one", "vocoder/two", "edit/three", "codec/four")
CLIPS = 6


def secret(clip):
    """Return the words that would reveal ``clip``."""
    result = {clip.clip_id, clip.source_id, clip.corpus, clip.attack, Path(clip.location).stem}
    return {word for word in result if word and len(word) > 2}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Return a manifest of 20 sources, each with a genuine clip and two fakes, at several rates."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    clips = []
    for number in range(20):
        rate = (16_000, 22_050, 44_100)[number % 3]
        samples = round(rng.uniform(1.0, 2.0) * rate)
        attacks = (None, ATTACKS[number % 4], ATTACKS[(number + 1) % 4])
        for place, attack in enumerate(attacks):
            path = folder / f"take{number}_{place}.wav"
            audio = rng.normal(0, 0.05, samples) * np.hanning(samples)
            write_wav(path, to_pcm(audio.astype(np.float32)), rate)
            seconds = samples / rate
            clips.append(
                make_clip(
                    f"id-{number}-{place}",
                    path,
                    attack,
                    attack and [(0.2, 0.5 + 0.1 * place)],
                    source_id=f"voice-{number}",
                    duration=round(seconds, 4),
                    sample_rate=rate,
                    corpus="studio-takes",
                    split="test",
                )
            )
    path = folder / "manifest.jsonl"
    write_manifest(path, clips)
    return path


def with_whole(clips):
    """Make one of the two fakes of each source fake throughout."""
    fakes = []
    for number, clip in enumerate(clips):
        whole = clip.is_fake and number % 2 == 0
        fakes.append(replace(clip, regions=(Region(0, clip.duration),)) if whole else clip)
    return fakes


@pytest.fixture(scope="session")
def drawn(corpus, tmp_path_factory):
    return make_test([corpus], tmp_path_factory.mktemp("drawn"), Settings(clips=CLIPS))


@pytest.fixture
def listening(drawn, tmp_path):
    """Return a listening test of six clips, in a folder of its own."""
    shutil.copytree(drawn.folder, tmp_path / "test")
    return open_test(tmp_path / "test", {})


class Client:
    """Client of a server, with a new connection for each request."""

    def __init__(self, server):
        self.server = server

    def ask(self, method, path, body=None, headers=None):
        """Return status, headers and body; ``path`` is sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            connection.close()

    def get(self, name, **headers):
        return self.ask("GET", f"/{self.server.token}/{name}", headers=headers)

    def post(self, name, sent, **headers):
        """Return the status and the content of the JSON reply."""
        body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        kind = {"Content-Type": "application/json"}
        status, _, reply = self.ask("POST", f"/{self.server.token}/{name}", body, kind | headers)
        return status, json.loads(reply)


@contextmanager
def serving(test, reveal=False):
    log = AnswerLog(test.folder / "answers.jsonl", list(test.clips.values()))
    with ListeningServer(Session(test, log, reveal), 0, "Ann <b>") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Client(server)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def client(listening):
    with serving(listening) as result:
        yield result

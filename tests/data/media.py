"""Audio files of any container and codec, written and read by PyAV (the libraries of ffmpeg)."""

import av
import numpy as np

LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 6: "5.1"}


def encode(path, samples, rate, codec, container=None, bit_rate=None, options=None, muxer=None):
    """Write ``samples`` (of shape sample x channel, in [-1, 1]) to ``path`` with ffmpeg's encoder.

    Args:
        path: file to write.
        samples: float samples.
        rate: samples per second.
        codec: name of the encoder, as "aac".
        container: name of the format, as "ipod"; by the suffix if None.
        bit_rate: bits per second.
        options: options of the encoder.
        muxer: options of the container.
    """
    samples = samples.reshape(len(samples), -1).astype(np.float32)
    layout = LAYOUTS[samples.shape[1]]
    with av.open(str(path), "w", format=container, options=muxer or {}) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout, options=options or {})
        if bit_rate:
            stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.reshape(1, -1)), format="flt", layout=layout
        )
        frame.sample_rate, frame.pts = rate, 0  # with times, containers store the encoder's delay
        stream.codec_context.open()
        resampler = av.AudioResampler(stream.format, layout, rate, stream.frame_size or 4096)
        for part in resampler.resample(frame) + resampler.resample(None):
            for packet in stream.encode(part):
                file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)
    return path


def decode(path):
    """Return the samples (sample x channel) and the rate of a file by ffmpeg's decoder."""
    parts = []
    with av.open(str(path)) as file:
        resampler = av.AudioResampler("fltp")
        for frame in file.decode(audio=0):
            parts += [one.to_ndarray() for one in resampler.resample(frame)]
        parts += [one.to_ndarray() for one in resampler.resample(None)]
        rate = file.streams.audio[0].rate
    return np.concatenate(parts, axis=1).T, rate

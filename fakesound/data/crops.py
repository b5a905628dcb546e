"""Training crops in pairs of a fake and a genuine partner, with regions cut in on the fly."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from torch.utils.data import Dataset

from fakesound.config import CropConfig, PublishedConfig
from fakesound.data.compose import Cut, Pcm, cut_in, draw_cuts
from fakesound.data.dataset import PART, WHOLE, Batch, make_item, read_clip
from fakesound.data.draws import FakeDraw
from fakesound.data.manifest import Clip
from fakesound.data.samples import FULL_SCALE, from_pcm, to_pcm
from fakesound.timeline import FrameGrid, Region

Audio = Float32[np.ndarray, " sample"]
Rng = np.random.Generator
# windows of a published fake with a lower peak, relative to full scale, are drawn again
QUIET = 0.006
ATTEMPTS = 3


@dataclass(frozen=True)
class Changes:
    """Random changes of the audio of crops.

    Attributes:
        augment: changes a finished crop, given the number of samples before its padding and the
            rate.
        vary: changes the result of an attack, given the original, before it is cut in.
        launder: brings a published fake and its partner to one level, band and noise floor.
        recolour: changes the channel of a recording.
    """

    augment: Callable[[Audio, int, int, Rng], Audio]
    vary: Callable[[Audio, Audio, int, Rng], Audio]
    launder: Callable[[Audio, Audio, int, Rng], tuple[Audio, Audio]]
    recolour: Callable[[Audio, int, Rng], Audio]


@dataclass(frozen=True)
class Pair:
    """A fake and its partner, of one length; ``cuts`` are the fake spans."""

    fake: Audio
    partner: Audio
    cuts: Sequence[Cut]
    kind: int


class CropDataset(Dataset[Batch]):
    """Endless training crops; the crop with a given number is always the same.

    Crops come in pairs: a fake and a genuine partner that differs from it as little as possible.

    - The partner is the same window of the fake's twin, shifted by the delay ``twin_lag`` that the
      row of a published fake may give. Most fakes that are fake throughout are cut into the twin at
      random places (see `fakesound.data.compose`); filled gaps stay in their places.
    - Without a twin, the partner is a genuine clip of the same domain.
    - Without either, the fake is cut into a random genuine recording, which is its partner. The
      same is done with a share of all published fakes, and with all whose row has ``paste_only``.
      These pairs have the kind `PART`, since their domains would reveal the label.

    Args:
        clips: clips of the training set.
        grid: frame grid.
        rate: sample rate in Hz.
        settings: settings of the crops.
        published: settings of fakes by published generators.
        changes: changes to the audio.
        seed: seed of every draw.
        later: numbers of the crops with ``settings.later_seconds``.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        grid: FrameGrid,
        rate: int,
        settings: CropConfig,
        published: PublishedConfig,
        changes: Changes,
        seed: int,
        later: range = range(0),
    ) -> None:
        self.clips = list(clips)
        self.grid, self.rate, self.settings = grid, rate, settings
        self.published, self.changes, self.seed, self.later = published, changes, seed, later
        self.draw = FakeDraw(self.clips, published, settings.weights)
        self.families = sorted({clip.family for clip in self.clips if clip.family is not None})
        # an array, since a draw from a list would copy it
        self.genuine = np.array([i for i, c in enumerate(self.clips) if not c.is_fake], dtype=int)
        mates: defaultdict[str, list[int]] = defaultdict(list)
        for index in self.genuine:
            mates[self.clips[index].domain].append(int(index))
        self.mates = {domain: np.array(indices) for domain, indices in mates.items()}
        by_id = {clip.clip_id: index for index, clip in enumerate(self.clips)}
        # -1 without a twin
        self.twin = np.array([by_id.get(clip.twin_id or "", -1) for clip in self.clips])
        # published fakes make the domains uneven, so their hosts are drawn with weights
        self.cumulated_shares = np.zeros(0)
        if len(self.draw.published):
            self.cumulated_shares = np.cumsum(_host_shares([self.clips[i] for i in self.genuine]))
        self._last: tuple[int, tuple[Batch, Batch]] | None = None

    def __getitem__(self, number: int) -> Batch:
        """Return training crop ``number``, a batch of one without the leading axis.

        Odd numbers are the genuine partners of the preceding fakes.
        """
        pair = number // 2
        # both crops are made at once and read one after the other
        if self._last is None or self._last[0] != pair:
            self._last = pair, self._items(pair)
        return self._last[1][number % 2]

    def seconds(self, number: int) -> float:
        """Return the length of crop ``number``."""
        later = self.settings.later_seconds if number in self.later else None
        return later or self.settings.seconds

    def _items(self, pair: int) -> tuple[Batch, Batch]:
        rng = np.random.default_rng([self.seed, pair])
        frames = self.grid.count(self.seconds(2 * pair))
        samples = frames * self.grid.samples(self.rate)
        index = self.draw(rng)
        clip = self.clips[index]
        if clip.decoder is None:
            crops = self._forged(rng, pair, index, samples)
        else:
            crops = self._published(rng, index, samples)
        length = len(crops.fake)
        # equal generators augment both alike, unless the draw makes them independent
        rngs = [rng, _copied(rng)]
        if crops.kind == WHOLE and self.settings.independent_share > 0:
            independent = np.random.default_rng([self.seed, pair, 2])
            if independent.random() < self.settings.independent_share:
                rngs[1] = independent
        regions = [Region(cut.start / self.rate, cut.stop / self.rate) for cut in crops.cuts]
        items = []
        for side, (part, own) in enumerate(zip((crops.fake, crops.partner), rngs, strict=True)):
            audio = np.zeros(samples, np.float32)
            audio[:length] = part
            audio = self.changes.augment(audio, length, self.rate, own)
            target = self.grid.targets([] if side else regions, frames)
            family = self.families.index(clip.family or "") if target.any() else -1
            valid, number = self.grid.count(length / self.rate), 2 * pair + side
            items.append(make_item(audio, target, valid, number, family, crops.kind))
        return items[0], items[1]

    def _forged(self, rng: Rng, pair: int, index: int, samples: int) -> Pair:
        """Return the pair of a forged fake."""
        clip, host = self.clips[index], int(self.twin[index])
        start, length = self._window(rng, clip, samples)
        spans = self._spans(clip, start, length)
        if host < 0:
            return self._without_twin(rng, index, start, length, spans, samples)
        remade, own, host_start = _throughout(spans, length), host, start
        # an unneeded draw would change all later ones
        share = self.settings.cross_recording_share
        foreign = remade and share > 0 and rng.random() < share
        if foreign:
            host, host_start, length = self._host(rng, samples, length)
            spans = [Cut(0, length)]
        # genuine material with edges is a fake only if the edges are in the crop
        edges_only = bool(clip.extra.get("edges_only"))
        cuts = self._choose(rng, spans, length, foreign or edges_only)
        genuine, fake = self._read(host, host_start, length), self._read(index, start, length)
        # a second generator, so that the other draws do not depend on variations
        variation_rng = np.random.default_rng([self.seed, pair, 1])
        if remade:
            varied = self.changes.vary(from_pcm(genuine), from_pcm(fake), self.rate, variation_rng)
            fake = to_pcm(varied)
            if not _throughout(cuts, length) and not edges_only:
                decoy = self._read(own, start, length) if foreign else None
                return self._spliced(variation_rng, fake, genuine, cuts, decoy)
        kind = WHOLE if _throughout(cuts, length) else PART
        return Pair(from_pcm(cut_in(genuine, fake, cuts)), from_pcm(genuine), cuts, kind)

    def _published(self, rng: Rng, index: int, samples: int) -> Pair:
        """Return the pair of a published fake."""
        clip, own = self.clips[index], int(self.twin[index])
        lag = round(clip.extra.get("twin_lag", 0) * self.rate) if own >= 0 else 0
        for _ in range(ATTEMPTS):
            start, length = self._common_window(rng, clip, own, lag, samples)
            if np.abs(self._read(index, start, length)).max() > QUIET * FULL_SCALE:
                break
        spans = self._spans(clip, start, length)
        mates = self.mates.get(clip.domain)
        if not _throughout(spans, length) and own >= 0:
            fake, genuine = self._read(index, start, length), self._read(own, start, length)
            return Pair(from_pcm(fake), from_pcm(genuine), spans, PART)
        if not _throughout(spans, length):
            return self._without_twin(rng, index, start, length, spans, samples)
        paste = rng.random() < self.published.paste or bool(clip.extra.get("paste_only"))
        if not paste and (own >= 0 or mates is not None):
            return self._side_by_side(rng, index, own, start, length, samples, lag)
        host, host_start = own, start - lag
        if own < 0 or rng.random() < self.settings.cross_recording_share:
            host, host_start, length = self._host(rng, samples, length)
        fake, genuine = self._read(index, start, length), self._read(host, host_start, length)
        cuts = self._draw_cuts(rng, length)
        if self.settings.channel_share > 0 and rng.random() < self.settings.channel_share:
            fake = to_pcm(self.changes.recolour(from_pcm(fake), self.rate, rng))
        decoy = None
        if host != own:
            # genuine audio of the same page in the same places, so that only the source differs
            if own >= 0:
                decoy = self._read(own, start - lag, length)
            elif mates is not None:
                mate = int(rng.choice(mates))
                decoy = self._read(mate, *self._window(rng, self.clips[mate], length))
                decoy = np.resize(decoy, length)
        return self._spliced(rng, fake, genuine, cuts, decoy)

    def _without_twin(
        self, rng: Rng, index: int, start: int, length: int, spans: Sequence[Cut], samples: int
    ) -> Pair:
        """Return a fake without a twin and a genuine clip of its domain, or a splice."""
        if self.clips[index].domain in self.mates:
            pair = self._side_by_side(rng, index, -1, start, length, samples)
            kind = WHOLE if _throughout(spans, len(pair.fake)) else PART
            spans = [Cut(s.start, min(s.stop, len(pair.fake))) for s in spans]
            return Pair(pair.fake, pair.partner, [s for s in spans if s.start < s.stop], kind)
        host, host_start, length = self._host(rng, samples, length)
        fake, genuine = self._read(index, start, length), self._read(host, host_start, length)
        if _throughout(spans, length):
            spans = self._draw_cuts(rng, length)
        spans = [Cut(s.start, min(s.stop, length), s.fade) for s in spans if s.start < length]
        return self._spliced(rng, fake, genuine, spans, None)

    def _side_by_side(
        self,
        rng: Rng,
        index: int,
        partner: int,
        start: int,
        length: int,
        samples: int,
        lag: int = 0,
    ) -> Pair:
        """Return a crop of a fake and one of ``partner``, or of a clip of its domain if -1."""
        clip, partner_start = self.clips[index], start - lag
        if partner < 0:
            partner = int(rng.choice(self.mates[clip.domain]))
            partner_start, partner_length = self._window(rng, self.clips[partner], samples)
            length = min(length, partner_length)
        fake = from_pcm(self._read(index, start, length))
        genuine = from_pcm(self._read(partner, partner_start, length))
        if clip.decoder is not None:
            fake, genuine = self.changes.launder(fake, genuine, self.rate, rng)
        return Pair(fake, genuine, [Cut(0, length)], WHOLE)

    def _spliced(
        self, rng: Rng, fake: Pcm, genuine: Pcm, cuts: Sequence[Cut], decoy: Pcm | None
    ) -> Pair:
        """Return ``fake`` cut into ``genuine``, whose channel may be changed before.

        In a share of pairs, ``decoy`` is cut into the partner at the same places; without a decoy,
        the recording itself through another channel. So the model learns that an edge between two
        recordings is not a fake.
        """
        settings, host = self.settings, genuine
        if settings.channel_share > 0 and rng.random() < settings.channel_share:
            host = to_pcm(self.changes.recolour(from_pcm(genuine), self.rate, rng))
        partner = host
        if settings.genuine_splice_share > 0 and rng.random() < settings.genuine_splice_share:
            if decoy is None:
                decoy = to_pcm(self.changes.recolour(from_pcm(genuine), self.rate, rng))
            partner = cut_in(host, decoy, cuts)
        return Pair(from_pcm(cut_in(host, fake, cuts)), from_pcm(partner), cuts, PART)

    def _host(self, rng: Rng, samples: int, length: int) -> tuple[int, int, int]:
        """Draw a genuine clip to cut into; return it, a start in it, and the common length."""
        shares = self.cumulated_shares
        if len(shares):
            position = np.searchsorted(shares, rng.random() * shares[-1], side="right")
            host = int(self.genuine[min(position, len(self.genuine) - 1)])
        else:
            host = int(rng.choice(self.genuine))
        start, host_length = self._window(rng, self.clips[host], samples)
        return host, start, min(length, host_length)

    def _spans(self, clip: Clip, start: int, length: int) -> list[Cut]:
        """Return the fake spans of a window, in samples from its start."""
        spans = []
        for region in clip.regions:
            onset = max(round(region.onset * self.rate) - start, 0)
            offset = min(round(region.offset * self.rate) - start, length)
            if onset < offset:
                spans.append(Cut(onset, offset))
        return spans

    def _choose(
        self, rng: Rng, spans: Sequence[Cut], length: int, edges_only: bool
    ) -> Sequence[Cut]:
        """Draw the fake spans of a crop from the available ``spans``."""
        if _throughout(spans, length):
            if rng.random() < self.settings.fully_fake_share and not edges_only:
                return spans
            return self._draw_cuts(rng, length)
        # filled gaps are used as a whole, since their edges belong to the attack
        count = int(rng.integers(1, len(spans) + 1)) if spans else 0
        return [spans[i] for i in sorted(rng.permutation(len(spans))[:count])]

    def _draw_cuts(self, rng: Rng, length: int) -> list[Cut]:
        settings = self.settings
        shortest, most = settings.min_region_seconds, settings.max_regions
        longest = min(settings.max_region_seconds, 0.9 * length / self.rate)
        return draw_cuts(rng, length, self.rate, shortest, longest, most)

    def _window(self, rng: Rng, clip: Clip, samples: int) -> tuple[int, int]:
        """Draw the start and length of a crop of at most ``samples``."""
        total = round(clip.duration * self.rate)
        length = min(total, samples)
        return int(rng.integers(0, total - length + 1)), length

    def _common_window(
        self, rng: Rng, clip: Clip, own: int, lag: int, samples: int
    ) -> tuple[int, int]:
        """Draw a window of a fake that its twin, if it has one, covers as well."""
        if own < 0:
            return self._window(rng, clip, samples)
        last = min(
            round(part.duration * self.rate) + late
            for part, late in ((clip, 0), (self.clips[own], lag))
        )
        first = max(lag, 0)
        length = max(min(last - first, samples), 1)
        return first + int(rng.integers(0, max(last - first - length, 0) + 1)), length

    def _read(self, index: int, start: int, length: int) -> Pcm:
        return read_clip(self.clips[index], self.rate, start, length)


def _host_shares(clips: Sequence[Clip]) -> Float[np.ndarray, " clip"]:
    """Return the share of each clip as a host; a domain counts by the root of its duration."""
    seconds = np.array([clip.duration for clip in clips])
    domain = np.unique([clip.domain for clip in clips], return_inverse=True)[1]
    share = seconds / np.sqrt(np.bincount(domain, seconds))[domain]
    return share / share.sum()


def _copied(rng: Rng) -> Rng:
    # a deep copy takes half a millisecond
    other = np.random.default_rng(0)
    other.bit_generator.state = rng.bit_generator.state
    return other


def _throughout(spans: Sequence[Cut], length: int) -> bool:
    return [(span.start, span.stop) for span in spans] == [(0, length)]

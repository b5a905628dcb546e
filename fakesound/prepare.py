"""Read a data set in its published layout, or fetch one, and write a manifest of it.

fakesound prepare corpus=NAME root=DIR [out=DIR] [allow_missing=true] [shards=true]
fakesound prepare manifest=FILE out=DIR
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fakesound.command_line import WRONG_INPUT, guarded
from fakesound.corpora import CORPORA, Corpus
from fakesound.errors import InputError, did_you_mean
from fakesound.files import write_whole

if TYPE_CHECKING:
    from fakesound.data.manifest import Clip

USAGE = """\
fakesound prepare corpus=NAME root=DIR [out=DIR] [allow_missing=true] [shards=true]
fakesound prepare corpus=genuine_recordings [mirror=DIR] [sources=GLOB,...] [out=DIR]
fakesound prepare corpus=public_generators [mirror=DIR] [licenses=stated] [out=DIR]
fakesound prepare manifest=FILE out=DIR [shard_size=MIB] [allow_missing=true]

Reads a data set as it comes, opens every audio file, compares it with the
lists of the data set, and writes OUT/manifest.jsonl. No audio is copied or changed,
unless it goes into shards: few large tars in OUT/shards, in the layout of WebDataset,
from which any clip is read at once. A folder of them can be moved or copied as a
whole, to s3://... too. Stopped and started again, it writes only what is missing.

  corpus=NAME          the data set; corpus=list shows all
  root=DIR             where it was unpacked
  out=DIR              where to write (prepared/NAME; for your own: prepared/ROOT)
  allow_missing=true   leave out what is missing or contradicts itself; otherwise
                       that is an error, and OUT/problems.txt lists it all
  shards=true          decode all audio and copy it into shards
  manifest=FILE        put the clips of a manifest into shards; instead of a data set
  shard_size=MIB       audio in a shard (256)

corpus=genuine_recordings downloads free recordings from public git repositories and
Debian packages (by apt-get; no root needed), some 20 hours of speech, music and sound,
and writes clips of at most 10 s to OUT/train and OUT/heldout, with a manifest in each;
OUT/licenses.txt names the licence of every source. Sources in heldout are never for
training: they measure false alarms. Stopped and started again, it fetches what is missing.

  mirror=DIR           clones (OWNER+NAME) and .deb files to use instead of downloads
  sources=GLOB,...     only the sources of these names; sources=list shows all

corpus=public_generators fetches what 154 public repositories publish of some 540
generators: fakes and the genuine recordings beside them, 20 hours, by recipes that
come with the package and hold no audio. Clips are 16 kHz WAV of at most 10 s. Fakes
get their genuine twin where there is one, aligned in time, and their decoder; the
same recording on several pages is one source. Most repositories state no licence:
what you may do with the audio is for you to find out. Stopped and started again, it
fetches what is missing.

  mirror=DIR           clones (OWNER+NAME) to use instead of downloads
  licenses=stated      only repositories that state a licence (all)
  without=FILE,...     manifests of test benches: drop the recordings that they hold
  recipes=FILE         recipes of your own, JSON Lines

Examples:
  fakesound prepare corpus=fakesound root=~/data/FakeSound allow_missing=true
  fakesound prepare corpus=asvspoof2019_la root=~/data/LA
  fakesound prepare corpus=folder root=recordings
  fakesound prepare corpus=csv root=clips.csv out=prepared/mine
  fakesound run experiment=mt_vim data.manifest=prepared/mine/manifest.jsonl
  fakesound prepare corpus=genuine_recordings out=genuine
  fakesound prepare manifest=prepared/mine/manifest.jsonl out=sharded
  fakesound run experiment=mt_vim data.manifest=s3://bucket/sharded/manifest.jsonl

Your own audio, by folder: genuine/ (or real, bonafide) and fake/FAMILY/GENERATOR/
(or spoof). The label comes from the folder alone. Files of equal name, say
genuine/a7.wav and fake/vocoder/world/a7.wav, are taken for twins: one source,
never split between training and test. NAME.json beside NAME.wav may give
{"regions": [[0.5, 1.2]], "source_id": ..., "split": ..., "donor_ids": [...],
"license": ...}; a fake without regions is fake throughout.

Your own audio, by table (comma or tab separated, with a header): path, label
(genuine, real, bonafide, 0; fake, spoof, 1) and, where known, clip_id,
source_id, attack (family/generator), regions ("0.5-1.2;3-4"), split, corpus,
domain, donor_ids ("a;b"), license. Paths are relative to the table.

Exit codes: 0 done; 2 wrong input, explained in one line; 1 anything else.
"""
SHARD_SIZE = 256
# fetched from many places, not read from one
RECORDINGS, GENERATORS = "genuine_recordings", "public_generators"
# keys by what is prepared; "" for a data set that was unpacked
KEYS_OF = {
    "": ("corpus", "root", "out", "allow_missing", "shards", "shard_size"),
    "manifest": ("manifest", "out", "allow_missing", "shards", "shard_size"),
    RECORDINGS: ("corpus", "out", "allow_missing", "mirror", "sources"),
    GENERATORS: ("corpus", "out", "allow_missing", "mirror", "licenses", "without", "recipes"),
}
KEYS = tuple(dict.fromkeys(key for keys in KEYS_OF.values() for key in keys))
# partial fakes made of each generator on a page, to validate on
SPLICES = 2
# pages on which trivial properties tell fake from genuine better than this (AUC) give pastes only
AUDIT_LIMIT = 0.65


def main() -> None:
    """Run from the command line."""
    guarded(_main)


def _main() -> None:
    arguments = sys.argv[1:]
    if {"--help", "-h"} & set(arguments):
        print(USAGE, end="")
        return
    if not arguments:
        sys.stderr.write(USAGE.partition("\n\n")[0])
        sys.stderr.write("\n\nall corpora: corpus=list; all keys: fakesound prepare --help\n")
        sys.exit(WRONG_INPUT)
    values = _values(arguments)
    name = values.get("corpus")
    if name == "list":
        _list_corpora()
        return
    kind = "manifest" if "manifest" in values else name if name in (RECORDINGS, GENERATORS) else ""
    for key, value in values.items():
        if key not in KEYS_OF[kind]:
            owners = " or ".join(
                other if other == "manifest" else f"corpus={other or 'NAME'}"
                for other, keys in KEYS_OF.items()
                if key in keys
            )
            raise InputError(f"{key}={value}: is a key of {owners}; remove it")
    {"manifest": _pack, RECORDINGS: _fetch_recordings, GENERATORS: _fetch_generators}.get(
        kind, _prepare
    )(values)


def _pack(values: dict[str, str]) -> None:
    """Put the clips of a manifest into shards."""
    if "out" not in values:
        raise InputError("out: missing; where to write the shards and their manifest, out=DIR")
    if not _flag(values, "shards", "true"):
        raise InputError("shards=false: what manifest= is for; leave it out")
    out, size, allow_missing = _out(values), _shard_size(values), _flag(values, "allow_missing")
    from fakesound.data.location import parse_location
    from fakesound.data.manifest import read_manifest

    path = parse_location(values["manifest"])
    path = path.expanduser() if isinstance(path, Path) else path
    if str(path) == str(out / "manifest.jsonl"):
        raise InputError(f"out={out}: holds the manifest itself; name another folder")
    _shards(read_manifest(path), out, size, allow_missing, [])
    print(out / "manifest.jsonl")


def _shards(
    clips: Sequence["Clip"], out: Path, size: int, allow_missing: bool, problems: Sequence[str]
) -> None:
    from fakesound.data.shards import write_shards
    from fakesound.progress import console, progress_bar

    with progress_bar("shards") as progress:
        wrong = write_shards(clips, out, size * 2**20, allow_missing, progress)
    if wrong:
        write_whole(out / "problems.txt", "\n".join([*problems, *wrong]) + "\n")
        console.print(f"left out: {len(wrong)} clips, listed in {out / 'problems.txt'}")


def _prepare(values: dict[str, str]) -> None:
    """Read a data set that was unpacked, and write a manifest of it."""
    corpus, root = _corpus(values)
    own = root.resolve().stem if root.is_file() else root.resolve().name
    out = _out(values, Path("prepared") / (own if corpus.per_folder else corpus.name))
    allow_missing, sharded = _flag(values, "allow_missing"), _flag(values, "shards")
    if "shard_size" in values and not sharded:
        raise InputError(f"shard_size={values['shard_size']}: is of shards; add shards=true")
    shard_size = _shard_size(values) if sharded else None
    from fakesound.corpora.check import check_rows
    from fakesound.corpora.report import print_report
    from fakesound.data.manifest import write_manifest
    from fakesound.progress import console, progress_bar

    listing = corpus.read(root)
    with progress_bar("audio") as progress:
        checked = check_rows(listing.rows, progress)
    wrong = [*listing.problems, *checked.wrong]
    print_report(
        console,
        corpus,
        checked.clips,
        checked.missing,
        wrong,
        [*listing.remarks, *checked.remarks],
    )
    problems = [*checked.missing, *wrong]
    list_of_problems = out / "problems.txt"
    if problems:
        write_whole(list_of_problems, "\n".join(problems) + "\n")
    else:
        list_of_problems.unlink(missing_ok=True)
    if not checked.clips:
        raise InputError(
            f"root={root}: no clip of {corpus.name} can be used "
            f"({_counts(checked.missing, wrong) or 'it lists none'}); get it from {corpus.source}"
        )
    if problems and not allow_missing:
        raise InputError(
            f"root={root}: {_counts(checked.missing, wrong)} (all in {list_of_problems}), "
            f"first {problems[0]}; correct them, or allow_missing=true leaves them out"
        )
    if problems:
        console.print(f"left out: {len(problems)} rows, listed in {list_of_problems}")
    if shard_size is not None:
        _shards(checked.clips, out, shard_size, allow_missing, problems)
    else:
        # paths are relative to the folder itself, not to a link to it
        write_manifest(out.resolve() / "manifest.jsonl", checked.clips)
    print(out / "manifest.jsonl")


def _fetch_recordings(values: dict[str, str]) -> None:
    """Fetch genuine recordings and write manifests of them."""
    out, allow_missing = _out(values, Path("prepared") / RECORDINGS), _flag(values, "allow_missing")
    mirror = _mirror(values)
    from fakesound.corpora.genuine_recordings import prepare_recordings, read_sources
    from fakesound.files import lock_folder
    from fakesound.progress import console, progress_bar

    if values.get("sources") == "list":
        for source in read_sources():
            use = "held out" if source.heldout else "train"
            print(f"{source.name}\t{source.kind}\t{use}\t{source.license}")
        return
    sources = read_sources(values.get("sources", "*").split(","))
    lock_folder(out, "out")
    with progress_bar("sources") as progress:
        taken, problems = prepare_recordings(out, sources, mirror, progress)
    for source, found in taken.items():
        left = "".join(f", {number} {reason}" for reason, number in found.left_out.items())
        console.print(
            f"{source.name} ({source.kind}): {found.hours:.2f} h, {source.license}; left out: "
            f"{left.removeprefix(', ') or 'nothing'}",
            highlight=False,
        )
    for problem in problems:
        console.print(f"missing: {problem}", highlight=False)
    if not taken or (problems and not allow_missing):
        raise InputError(
            f"corpus={RECORDINGS}: {len(problems)} of {len(sources)} sources are missing, first "
            f"{problems[0]}; start again to fetch them, or allow_missing=true leaves them out"
        )
    for part in sorted(out.glob("*/manifest.jsonl")):
        print(part)


def _fetch_generators(values: dict[str, str]) -> None:
    """Fetch the published audio of generators and write a manifest of it."""
    out, allow_missing = _out(values, Path("prepared") / GENERATORS), _flag(values, "allow_missing")
    mirror = _mirror(values)
    licenses = values.get("licenses", "all")
    if licenses not in ("all", "stated"):
        raise InputError(f"licenses={licenses}: must be all or stated")
    from fakesound.corpora.public_generators import (
        combine,
        fetch,
        print_summary,
        read_recipes,
        splice_fakes,
        with_audit,
    )
    from fakesound.data.manifest import read_manifest, write_manifest
    from fakesound.files import lock_folder
    from fakesound.forging.audit import page_audits
    from fakesound.progress import console, progress_bar

    recipes = read_recipes(Path(values["recipes"]).expanduser() if "recipes" in values else None)
    recipes = [recipe for recipe in recipes if licenses == "all" or recipe.is_open]
    bench = [
        clip
        for name in values.get("without", "").split(",")
        if name
        for clip in read_manifest(Path(name).expanduser())
    ]
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    lock_folder(out, "out")
    with progress_bar("repositories") as progress:
        collected = fetch(recipes, out, mirror, progress)
    missing = [found for found in collected if found.missing is not None]
    problems = [f"{found.repository}: {found.missing}" for found in missing]
    left_out = [line for found in collected for line in found.left_out]
    write_whole(out / "problems.txt", "".join(f"{line}\n" for line in [*problems, *left_out]))
    if missing and not allow_missing:
        raise InputError(
            f"corpus={GENERATORS}: {len(missing)} of {len(collected)} repositories are missing "
            f"(all in {out / 'problems.txt'}), first {problems[0]}; start again to fetch them, or "
            "allow_missing=true leaves them out"
        )
    clips = [clip for found in collected for clip in found.clips]
    if not clips:
        raise InputError(f"corpus={GENERATORS}: no clip could be made; see {out / 'problems.txt'}")
    with progress_bar("recordings") as progress:
        clips, dropped = combine(clips, bench, progress)
    with progress_bar("pages") as progress:
        audits = page_audits(clips, progress=progress)
    write_whole(out / "audit.json", json.dumps(audits, indent=1) + "\n")
    clips = with_audit(clips, audits, AUDIT_LIMIT)
    clips += splice_fakes(clips, out / "splices", SPLICES)
    write_manifest(out / "manifest.jsonl", clips)
    print_summary(console, clips, audits, AUDIT_LIMIT, len(left_out), len(missing), dropped)
    print(out / "manifest.jsonl")


def _values(arguments: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key not in KEYS:
            hint = did_you_mean(key, KEYS, after=" ")
            raise InputError(f"{key}: no such key; {hint}there are {', '.join(KEYS)}")
        if not equals or not value:
            raise InputError(f"{argument}: needs a value, {key}=...")
        if key in values:
            raise InputError(f"{argument}: {key} is given twice")
        values[key] = value
    return values


def _corpus(values: dict[str, str]) -> tuple[Corpus, Path]:
    """Return the data set, and the folder or file that holds it."""
    name, known = values.get("corpus"), [*CORPORA, RECORDINGS, GENERATORS]
    there = f"there are {', '.join(known)} (corpus=list explains them)"
    if name is None:
        raise InputError(f"corpus: missing; {there}")
    if name not in CORPORA:
        hint = did_you_mean(name, known, after=" ")
        raise InputError(f"corpus={name}: no such data set; {hint}{there}")
    if "root" not in values:
        raise InputError(f"root: missing; where {name} was unpacked, root=DIR")
    root = Path(values["root"]).expanduser()
    if not (root.is_dir() or (name == "csv" and root.is_file())):
        kind = "file or folder" if name == "csv" else "folder"
        raise InputError(f"root={root}: no such {kind}; give the one of the data set")
    return CORPORA[name], root


def _mirror(values: dict[str, str]) -> Path | None:
    mirror = Path(values["mirror"]).expanduser() if "mirror" in values else None
    if mirror is not None and not mirror.is_dir():
        raise InputError(f"mirror={mirror}: no such folder; give the one with clones")
    return mirror


def _out(values: dict[str, str], default: Path = Path()) -> Path:
    out = Path(values["out"]).expanduser() if "out" in values else default
    if "://" in values.get("out", ""):
        raise InputError(f"out={values['out']}: must be on this machine; copy the folder there")
    if out.exists() and not out.is_dir():
        raise InputError(f"out={out}: is a file; name a folder to write to")
    return out


def _flag(values: dict[str, str], key: str, default: str = "false") -> bool:
    value = values.get(key, default)
    if value not in ("true", "false"):
        raise InputError(f"{key}={value}: must be true or false")
    return value == "true"


def _shard_size(values: dict[str, str]) -> int:
    text = values.get("shard_size", str(SHARD_SIZE))
    if not (text.isdecimal() and int(text) > 0):
        raise InputError(f"shard_size={text}: must be a whole number of MiB above 0")
    return int(text)


def _list_corpora() -> None:
    for corpus in CORPORA.values():
        print(f"{corpus.name}: {corpus.summary}")
        print("  root holds")
        for line in corpus.layout.strip().splitlines():
            print(f"    {line}")
        if not corpus.per_folder:
            print(f"  from {corpus.source}\n  licence: {corpus.card}")
        print()
    print(f"{RECORDINGS}: free recordings of speech, music and sound, all genuine; fetched")
    print("  from public git repositories and Debian packages; sources=list shows them")
    print(f"{GENERATORS}: fakes of some 540 published generators, and genuine recordings; fetched")
    print("  from 154 public repositories, some of which state a licence")


def _counts(missing: Sequence[str], wrong: Sequence[str]) -> str:
    counts = (len(missing), "files are missing"), (len(wrong), "rows cannot be used")
    return ", ".join(f"{number} {what}" for number, what in counts if number)


if __name__ == "__main__":
    main()

"""Write the manifest of a data set, read in its published layout or fetched.

fakesound prepare corpus=NAME root=DIR [out=DIR] [allow_missing=true] [shards=true]
fakesound prepare manifest=FILE out=DIR
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fakesound.command_line import WRONG_INPUT, entry_point
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

Reads a data set in its published layout, opens every audio file, compares it with the
lists of the data set and writes OUT/manifest.jsonl. Audio is neither copied nor changed,
unless it goes into shards: a few large tars in OUT/shards, in the WebDataset layout,
from which any clip can be read directly. The folder OUT can then be moved or copied as
a whole, also to s3://... The same command continues after an interruption.

  corpus=NAME          data set; corpus=list shows all
  root=DIR             folder of the unpacked data set
  out=DIR              folder to write to (prepared/NAME; for your own: prepared/ROOT)
  allow_missing=true   leave out missing and contradictory rows; otherwise they are an
                       error; OUT/problems.txt lists them
  shards=true          decode all audio and copy it into shards
  manifest=FILE        put the clips of a manifest into shards, instead of a data set
  shard_size=MIB       audio in a shard (256)

corpus=genuine_recordings downloads free recordings from public git repositories and
Debian packages (by apt-get; no root needed), some 20 hours of speech, music and sound,
and writes clips of at most 10 s to OUT/train and OUT/heldout, with a manifest in each;
OUT/licenses.txt gives the licence of every source. Sources in heldout are never used
for training: they measure false alarms. The same command fetches what is missing.

  mirror=DIR           clones (OWNER+NAME) and .deb files to use instead of downloads
  sources=GLOB,...     only the sources with these names; sources=list shows all

corpus=public_generators fetches 20 hours of fakes by some 540 published generators,
and genuine recordings, from 154 public repositories. The package holds recipes, which
point to files, and no audio. Clips are 16 kHz WAV of at most 10 s. Fakes have their
decoder and, where one is published, their genuine twin, aligned in time; copies of one
recording are one source. Most repositories state no licence: check yourself what you
may do with the audio. The same command fetches what is missing.

  mirror=DIR           clones (OWNER+NAME) to use instead of downloads
  licenses=stated      only repositories that state a licence (all)
  without=FILE,...     manifests of test benches whose recordings are dropped
  recipes=FILE         your own recipes, JSON Lines

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
(or spoof). Only the folder gives the label. Files of equal name, such as
genuine/a7.wav and fake/vocoder/world/a7.wav, are twins: one source, never split
between training and test. NAME.json beside NAME.wav may give
{"regions": [[0.5, 1.2]], "source_id": ..., "split": ..., "donor_ids": [...],
"license": ...}; a fake without regions is fake throughout.

Your own audio, by table (comma or tab separated, with a header): path, label
(genuine, real, bonafide, 0; fake, spoof, 1) and, where known, clip_id,
source_id, attack (family/generator), regions ("0.5-1.2;3-4"), split, corpus,
domain, donor_ids ("a;b"), license. Paths are relative to the table.

Exit codes: 0 done; 2 wrong input, explained in one line; 1 anything else.
"""
SHARD_SIZE = 256
# corpora that are fetched
RECORDINGS, GENERATORS = "genuine_recordings", "public_generators"
# keys of each command; "" reads an unpacked data set
KEYS_OF = {
    "": ("corpus", "root", "out", "allow_missing", "shards", "shard_size"),
    "manifest": ("manifest", "out", "allow_missing", "shards", "shard_size"),
    RECORDINGS: ("corpus", "out", "allow_missing", "mirror", "sources"),
    GENERATORS: ("corpus", "out", "allow_missing", "mirror", "licenses", "without", "recipes"),
}
KEYS = tuple(dict.fromkeys(key for keys in KEYS_OF.values() for key in keys))


@entry_point
def main() -> None:
    """Run from the command line."""
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
    commands = {
        "": _read_data_set,
        "manifest": _pack_manifest,
        RECORDINGS: _fetch_recordings,
        GENERATORS: _fetch_generators,
    }
    commands[kind](values)


def _pack_manifest(values: dict[str, str]) -> None:
    """Put the clips of a manifest into shards."""
    if "out" not in values:
        raise InputError("out: missing; give the folder of the shards and their manifest, out=DIR")
    if not _flag(values, "shards", "true"):
        raise InputError("shards=false: manifest= always writes shards; remove it")
    out, size, allow_missing = _out(values), _shard_size(values), _flag(values, "allow_missing")
    from fakesound.data.location import parse_location
    from fakesound.data.manifest import read_manifest

    location = parse_location(values["manifest"])
    path = location.local and location.local.expanduser()
    if path is not None and path.resolve() == (out / "manifest.jsonl").resolve():
        raise InputError(f"out={out}: holds the manifest itself; name another folder")
    _write_shards(read_manifest(path or location), out, size, allow_missing, [])
    print(out / "manifest.jsonl")


def _write_shards(
    clips: Sequence["Clip"], out: Path, size: int, allow_missing: bool, problems: Sequence[str]
) -> None:
    """Write ``clips`` to shards, and ``problems`` with those of skipped clips to problems.txt."""
    from fakesound.data.shards import write_shards
    from fakesound.progress import console, progress_bar

    with progress_bar("shards") as progress:
        wrong = write_shards(clips, out, size * 2**20, allow_missing, progress)
    if wrong:
        write_whole(out / "problems.txt", "\n".join([*problems, *wrong]) + "\n")
        console.print(f"left out: {len(wrong)} clips, listed in {out / 'problems.txt'}")


def _read_data_set(values: dict[str, str]) -> None:
    """Write the manifest of an unpacked data set."""
    corpus, root = _corpus(values)
    own = root.resolve().stem if root.is_file() else root.resolve().name
    out = _out(values, Path("prepared") / (own if corpus.per_folder else corpus.name))
    allow_missing, sharded = _flag(values, "allow_missing"), _flag(values, "shards")
    if "shard_size" in values and not sharded:
        raise InputError(f"shard_size={values['shard_size']}: needs shards; add shards=true")
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
        console, corpus, checked.clips, checked.missing, wrong, [*listing.remarks, *checked.remarks]
    )
    problems = [*checked.missing, *wrong]
    problems_file = out / "problems.txt"
    if problems:
        write_whole(problems_file, "\n".join(problems) + "\n")
    else:
        problems_file.unlink(missing_ok=True)
    if not checked.clips:
        raise InputError(
            f"root={root}: no clip of {corpus.name} can be used "
            f"({_counts(checked.missing, wrong) or 'it lists none'}); get it from {corpus.source}"
        )
    if problems and not allow_missing:
        raise InputError(
            f"root={root}: {_counts(checked.missing, wrong)} (all in {problems_file}), "
            f"first {problems[0]}; correct them, or set allow_missing=true to leave them out"
        )
    if problems:
        console.print(f"left out: {len(problems)} rows, listed in {problems_file}")
    if shard_size is not None:
        _write_shards(checked.clips, out, shard_size, allow_missing, problems)
    else:
        # resolved, since relative paths must also hold if the folder is a link
        write_manifest(out.resolve() / "manifest.jsonl", checked.clips)
    print(out / "manifest.jsonl")


def _fetch_recordings(values: dict[str, str]) -> None:
    """Fetch genuine recordings and write their manifests."""
    out, allow_missing = _out(values, Path("prepared") / RECORDINGS), _flag(values, "allow_missing")
    mirror = _mirror(values)
    from fakesound.corpora.genuine_recordings import prepare_recordings, read_sources
    from fakesound.files import lock_folder
    from fakesound.progress import print_line, progress_bar

    if values.get("sources") == "list":
        for source in read_sources():
            use = "held out" if source.heldout else "train"
            print(f"{source.name}\t{source.kind}\t{use}\t{source.license}")
        return
    sources = read_sources(values.get("sources", "*").split(","))
    lock_folder(out, "out")
    with progress_bar("sources") as progress:
        prepared, problems = prepare_recordings(out, sources, mirror, progress)
    for source, result in prepared.items():
        left_out = ", ".join(f"{number} {reason}" for reason, number in result.left_out.items())
        print_line(
            f"{source.name} ({source.kind}): {result.hours:.2f} h, {source.license}; left out: "
            f"{left_out or 'nothing'}"
        )
    for problem in problems:
        print_line(f"missing: {problem}")
    if not prepared or (problems and not allow_missing):
        raise InputError(
            f"corpus={RECORDINGS}: {len(problems)} of {len(sources)} sources are missing, first "
            f"{problems[0]}; start again to fetch them, or set allow_missing=true to leave them out"
        )
    for part in sorted(out.glob("*/manifest.jsonl")):
        print(part)


def _fetch_generators(values: dict[str, str]) -> None:
    """Fetch the published audio of generators and write its manifest."""
    out, allow_missing = _out(values, Path("prepared") / GENERATORS), _flag(values, "allow_missing")
    mirror = _mirror(values)
    licenses = values.get("licenses", "all")
    if licenses not in ("all", "stated"):
        raise InputError(f"licenses={licenses}: must be all or stated")
    from fakesound.corpora.public_generators import prepare_generators, print_summary, read_recipes
    from fakesound.data.manifest import read_manifest
    from fakesound.files import lock_folder
    from fakesound.progress import console

    recipes = read_recipes(Path(values["recipes"]).expanduser() if "recipes" in values else None)
    recipes = [recipe for recipe in recipes if licenses == "all" or recipe.is_open]
    bench = [
        clip
        for name in values.get("without", "").split(",")
        if name
        for clip in read_manifest(Path(name).expanduser())
    ]
    out = out.resolve()
    lock_folder(out, "out")
    print_summary(console, prepare_generators(recipes, out, mirror, bench, allow_missing))
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
        raise InputError(f"root: missing; give the folder of the unpacked {name}, root=DIR")
    root = Path(values["root"]).expanduser()
    if not (root.is_dir() or (name == "csv" and root.is_file())):
        kind = "file or folder" if name == "csv" else "folder"
        raise InputError(f"root={root}: no such {kind}; give the {kind} of the data set")
    return CORPORA[name], root


def _mirror(values: dict[str, str]) -> Path | None:
    mirror = Path(values["mirror"]).expanduser() if "mirror" in values else None
    if mirror is not None and not mirror.is_dir():
        raise InputError(f"mirror={mirror}: no such folder; give the folder of clones")
    return mirror


def _out(values: dict[str, str], default: Path = Path()) -> Path:
    out = Path(values["out"]).expanduser() if "out" in values else default
    if "://" in values.get("out", ""):
        raise InputError(
            f"out={values['out']}: must be a local folder; copy the result there afterwards"
        )
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
    print(f"{GENERATORS}: fakes by some 540 published generators, and genuine recordings; fetched")
    print("  from 154 public repositories, some of which state a licence")


def _counts(missing: Sequence[str], wrong: Sequence[str]) -> str:
    counts = (len(missing), "files are missing"), (len(wrong), "rows cannot be used")
    return ", ".join(f"{number} {what}" for number, what in counts if number)


if __name__ == "__main__":
    main()

"""Commands, code, numbers and links of the README and of all other pages."""

import contextlib
import importlib
import importlib.util
import io
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import tomllib

import numpy as np
import pytest
import soundfile
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser

from fakesound.attacks import ATTACKS, BUILT_IN
from fakesound.config.compose import compose_config, run_config
from fakesound.data.manifest import read_manifest
from fakesound.prepare import GENERATORS, RECORDINGS, build_parser
from fakesound.run import _first_of_each
from tests.conftest import command
from tests.conftest import fakesound as run_verb
from tests.readme import (
    GUIDES,
    OTHERS,
    PAGES,
    PRETRAINED,
    README,
    ROOT,
    anchors,
    block_commands,
    fences,
    inline_commands,
    links,
    words,
)


def names_more_than_a_verb(line):
    return not re.fullmatch(r"(python -m )?fakesound[ .]\w+", line)


RUN_PAGES = [README, *GUIDES]
LINES = list(dict.fromkeys(line for page in RUN_PAGES for line in block_commands(page, "bash")))
OTHER_LINES = sorted(
    {
        line
        for page in (*OTHERS, PRETRAINED)
        for line in block_commands(page, "", "sh", "bash")
        if line.startswith(("python ", "fakesound "))
    }
    | {line for page in RUN_PAGES for line in inline_commands(page) if names_more_than_a_verb(line)}
)
# read and checked, but not run here, and why
NOT_RUN = {
    "fakesound listen": "waits for listeners, and is run by other tests",
    "fakesound launch": "needs an account, and is run by other tests",
    "fakesound prepare --manifest FILE": "is run by other tests",
    "torchrun": "trains, and is run by other tests",
    "fakesound detect s3://": "needs a store and a cluster, and is run by other tests",
    "docker": "needs a container engine",
    "ffmpeg": "is another program",
    "curl": "needs the server, and is run by other tests",
    "fakesound serve": "waits for requests, and is run by other tests",
    "fakesound run": "trains, and is run by other tests",
    "python -m benchmarks": "takes minutes, and is run by other tests",
    "fakesound compare": "needs finished sweeps, and is run by other tests",
    "fakesound prepare fakesound": "needs a download",
    "fakesound prepare genuine_recordings": "needs a network",
    "fakesound prepare public_generators": "needs a network",
    "fakesound prepare folder": "needs labelled folders, and is run by other tests",
    "fakesound evaluate --checkpoint default --manifest prepared": "follows the one above",
    "make": "runs the tests themselves",
    "pip install": "needs a network",
}
# minutes, or much of one
SLOW = ("--robustness", "fakesound forge FOLDER OUT")


def arguments_of(line):
    """Return verb and arguments of a command of fakesound, the last of a pipe; None for others."""
    first, *rest = words(line.rpartition(" | ")[2])
    if first == "fakesound" and not rest[0].startswith("-"):
        return rest[0], rest[1:]
    if first == "python" and rest[0] == "-m" and rest[1].startswith("fakesound."):
        return rest[1].removeprefix("fakesound."), rest[2:]
    return None, rest


def check_run(arguments):
    if "--reproduce" in arguments:
        assert len(arguments) == 2
        return
    if "--keys" in arguments:
        assert len(arguments) <= 2
        return
    options = get_args_parser().parse_args(arguments)
    if options.help:
        return
    composed = compose_config(_first_of_each(options.overrides), with_hydra=True)
    assert run_config(composed)
    parsed = OverridesParser.create().parse_overrides(options.overrides)
    if any(override.is_sweep_override() for override in parsed):
        assert options.multirun, "several values need -m"


def check_prepare(arguments):
    options = parse(build_parser().parse_intermixed_args, arguments)
    if options is None:
        return
    if options.manifest:
        assert options.out
    elif not options.list:
        assert options.corpus
        assert (options.root is None) == (options.corpus in (RECORDINGS, GENERATORS))


def check(line):
    """Check that a command can be parsed; its files need not exist."""
    (verb, arguments), (program, *rest) = arguments_of(line), words(line)
    if verb in ("run", "cloud.container"):
        check_run(arguments)
    elif verb == "prepare":
        check_prepare(arguments)
    elif verb is not None:
        parser = importlib.import_module(f"fakesound.{verb}").build_parser()
        parse(parser.parse_intermixed_args if verb == "launch" else parser.parse_args, arguments)
    elif program == "fakesound":
        assert arguments == ["--help"]
    elif program == "python" and rest[0] == "-m":
        parse(importlib.import_module(rest[1]).build_parser().parse_args, rest[2:])
    elif program == "torchrun":
        check_run(rest[rest.index("fakesound.run") + 1 :])
    elif program == "docker":
        assert rest[0] in ("build", "run")
        assert rest[0] == "run" or (ROOT / rest[rest.index("-f") + 1]).is_file()
    elif program == "make":
        assert re.search(f"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "pip":
        extras = re.findall(r"\[([\w,]+)\]", rest[-1])
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        known = project["optional-dependencies"]
        assert all(extra in known for names in extras for extra in names.split(","))
    elif program == "python" and rest[0] == "-c":
        compile(rest[1], line, "exec")
    elif program == "python" and rest[0].endswith(".py"):
        assert (ROOT / rest[0]).is_file()
    else:
        assert program in ("wandb", "apt", "ffmpeg", "curl"), "what is this?"


def parse(read, arguments):
    output = io.StringIO()
    try:
        with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
            return read(arguments)
    except SystemExit as stopped:  # of --help with 0
        if stopped.code:
            pytest.fail(output.getvalue())


def each(lines):
    return pytest.mark.parametrize("line", lines, ids=lambda line: " ".join(words(line)))


@each(LINES)
def test_commands_of_readme_and_guides_can_be_parsed(line):
    check(line)


@each(OTHER_LINES)
def test_commands_of_other_pages_can_be_parsed(line):
    check(line)


def not_run(line):
    return any(line.startswith(start) for start in NOT_RUN)


RUN = [
    pytest.param(line, marks=pytest.mark.slow) if any(part in line for part in SLOW) else line
    for line in LINES
    if not not_run(line)
]


def test_all_listed_exceptions_are_used():
    for start in NOT_RUN:
        assert any(line.startswith(start) for line in LINES), start


@pytest.fixture(scope="module")
def place(recordings, tmp_path_factory):
    """Return a folder with the files that commands of README and guides name."""
    outside = tmp_path_factory.mktemp("readme")
    folder = outside / "checkout"
    folder.mkdir()
    shutil.copytree(recordings, folder / "FOLDER")
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs/example.flac", folder / "docs")
    shutil.copy(recordings / "00.wav", folder / "recording.wav")
    shutil.copy(ROOT / "fakesound/pretrained/detector.safetensors", folder / "RUN.safetensors")
    clips, scores = [], {"S": [], "V": [], "OURS": [], "THEIRS": []}
    rng = np.random.default_rng(0)
    for number, path in enumerate(sorted(recordings.glob("*.wav"))):
        fake = number % 2 == 1
        clip = {
            "clip_id": f"c{number}", "path": str(path), "source_id": f"s{number // 2}",
            "label": "fake" if fake else "genuine", "attack": "vocoder/mine" if fake else None,
            "regions": [[0.4, 1.0]] if fake else [], "duration": soundfile.info(path).duration,
            "sample_rate": 16_000, "corpus": "mine", "split": "test",
        }  # fmt: skip
        clips.append(clip)
        for rows in scores.values():
            rows.append(clip | {"score": float(rng.uniform(0.3 * fake, 0.7 + 0.3 * fake))})
    for name, rows in {"M": clips, **scores}.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / (name if name == "M" else f"{name}.jsonl")).write_text(text)
    (folder / "DIR" / "scores").mkdir(parents=True)
    shutil.copy(folder / "M", folder / "DIR" / "clips.jsonl")
    shutil.copy(folder / "THEIRS.jsonl", folder / "DIR" / "scores" / "listeners.jsonl")
    (folder / "MODEL").mkdir()
    shutil.copy(folder / "OURS.jsonl", folder / "MODEL" / "scores.jsonl")
    lines = [f"{clip['clip_id']} {rng.normal()}" for clip in clips]
    (folder / "cm.txt").write_text("\n".join(lines) + "\n")
    return folder


def adapted(line):
    """Return the words of ``line`` with its placeholders filled in."""
    text = line.replace("outputs/mt_vim/TIME", "RUN.safetensors").replace(" M [M ...]", " M")
    return words(re.sub(r"--checkpoint RUN(?![.\w])", "--checkpoint RUN.safetensors", text))


@each(RUN)
def test_commands_of_readme_and_guides_work(line, place):
    verb, arguments = arguments_of(shlex.join(adapted(line)))
    assert verb is not None, "neither run nor excused: see NOT_RUN"
    done = run_verb(verb, *arguments, folder=place)
    assert done.returncode == 0, done.stderr
    for option in ("--html", "--csv", "--json", "--out"):
        if option in words(line):
            named = place / words(line)[words(line).index(option) + 1]
            assert named.stat().st_size > 0


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 140


def test_the_readme_shows_what_its_first_command_prints(place):
    ((_, shown),) = [fence for fence in fences(README) if fence[0] == "text"]
    line = next(line for line in block_commands(README, "bash") if "detect" in line)
    verb, arguments = arguments_of(line)
    # results are a table on a terminal alone
    ours, theirs = pty.openpty()
    with open(ours, "rb", closefd=True) as terminal:
        environment = {**os.environ, "COLUMNS": "100", "TERM": "dumb"}
        subprocess.run(
            command(verb, *arguments), cwd=place, env=environment, stdout=theirs, check=True
        )
        os.close(theirs)
        with contextlib.suppress(OSError):  # the other end is closed
            printed = terminal.read1(65_536).decode()
    rows = [" ".join(row.split()) for row in printed.splitlines()]
    for row in shown.splitlines():
        assert " ".join(row.split()) in rows


def test_the_detector_is_used_as_the_readme_shows(place, monkeypatch):
    monkeypatch.chdir(place)
    ((_, block),) = [fence for fence in fences(README) if fence[0] == "python"]
    names = {}
    exec(block, names)
    result = names["result"]
    assert result.verdict in ("genuine", "fake", "uncertain")
    assert 0 <= result.score <= 1
    assert len(result.frame_scores) == 161


def test_the_row_of_a_manifest_is_one(place):
    ((_, text),) = [fence for page in GUIDES for fence in fences(page) if fence[0] == "json"]
    row = json.loads(text)
    (place / "audio").mkdir()
    audio = np.random.default_rng(0).normal(0, 0.1, round(row["duration"] * row["sample_rate"]))
    soundfile.write(place / row["path"], audio, row["sample_rate"])
    (place / "row.jsonl").write_text(json.dumps(row) + "\n")
    (clip,) = read_manifest(place / "row.jsonl")
    assert (clip.clip_id, clip.source_id, clip.split) == ("a1", "speaker7/take3", "test")


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "data.md"], ids=lambda page: page.name)
def test_attacks_are_as_many_as_pages_say(page):
    families = {ATTACKS[name].family for name in BUILT_IN}
    neural = [name for name in BUILT_IN if "neural" in name]
    count = (
        f"{len(BUILT_IN)} attacks in {number(families)} families, {number(neural)} of them neural"
    )
    assert count in " ".join(page.read_text().split())


def number(things):
    return ["none", "one", "two", "three", "four", "five", "six", "seven", "eight"][len(things)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.suffix == ".svg" or not anchor or anchor in anchors(target), link


def test_every_experiment_and_sweep_is_in_the_guide():
    text = (ROOT / "docs" / "train.md").read_text()
    for group in ("experiment", "sweep"):
        for path in (ROOT / "conf" / group).glob("*.yaml"):
            # `make smoke` runs the other one
            assert path.stem == "smoke" or re.search(rf"\b{path.stem}\b", text), path.stem

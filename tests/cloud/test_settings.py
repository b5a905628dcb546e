"""Where the settings of a launch come from."""

import pytest

from fakesound.cloud.settings import keys_help, read_settings
from fakesound.config import SageMakerConfig
from fakesound.errors import InputError

ROLE = "arn:aws:iam::123456789012:role/train"


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for key in ("ROLE", "IMAGE", "BUCKET"):
        monkeypatch.delenv(f"FAKESOUND_{key}", raising=False)


def test_nothing_is_guessed():
    assert read_settings([]) == SageMakerConfig()
    with pytest.raises(InputError) as caught:
        read_settings(["launch.image=x"]).check_given("role", "image", "bucket")
    assert str(caught.value).startswith("launch.role, launch.bucket: missing; ")


def test_the_command_line_counts_more_than_a_file_and_that_more_than_variables(
    monkeypatch, tmp_path
):
    file = tmp_path / "aws.yaml"
    file.write_text("bucket: of-file\nimage: of-file\ntags: {team: audio}\n")
    monkeypatch.setenv("FAKESOUND_ROLE", ROLE)
    monkeypatch.setenv("FAKESOUND_IMAGE", "of-variable")
    made = read_settings(["launch.bucket=of-words", "launch.subnets=[a,b]",
                          "launch.security_groups=[c]"], file)  # fmt: skip
    assert (made.role, made.image, made.bucket) == (ROLE, "of-file", "of-words")
    assert (made.tags, made.subnets) == ({"team": "audio"}, ["a", "b"])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("launch.nosuch=1", "launch.nosuch: no such key"),
        ("launch.instance_typ=a", "did you mean instance_type?"),
        ("launch.spot=maybe", "launch.spot"),
        ("launch.instances=0", "launch.instances=0: must be at least 1"),
        ("launch.volume_gb=0", "launch.volume_gb=0"),
        ("launch.max_run_seconds=0", "launch.max_run_seconds=0"),
        ("launch.max_wait_seconds=60", "launch.max_wait_seconds=60: must be at least launch.max_"),
        ("launch.keep_alive_seconds=60", "launch.spot=false"),
        ("launch.keep_alive_seconds=-1", "launch.keep_alive_seconds=-1"),
        ("launch.keep_alive_seconds=21601", "launch.keep_alive_seconds=21601"),
        ("launch.subnets=[a]", "launch.subnets and launch.security_groups"),
        ("launch.role=train", "launch.role=train: must be an ARN"),
        ("launch.bucket=s3://b", "launch.bucket=s3://b: must be the bare name"),
        ("launch.prefix=/", "launch.prefix"),
        ("launch.instances=1,2", "launch.instances: takes one value"),
    ],
)
def test_a_wrong_setting_is_one_line(word, said):
    with pytest.raises(InputError) as caught:
        read_settings([word])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["nosuch: 1", "spot: [", "- a", "instances: many"])
def test_a_wrong_file_is_named(tmp_path, text):
    file = tmp_path / "aws.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"aws\.yaml: "):
        read_settings([], file)


def test_the_help_has_every_key():
    text = keys_help()
    for key in vars(SageMakerConfig()):
        assert f"launch.{key}=" in text
    assert "\n      \n" not in text

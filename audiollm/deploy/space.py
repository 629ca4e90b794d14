"""A Space that runs this program: the calls that create or update it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audiollm.deploy import tree
from audiollm.deploy.calls import Call, creation
from audiollm.errors import ConfigError
from audiollm.settings import Settings, secret

MOUNT = "/data"  # where the bucket is in the Space's container
# Whose `X-Forwarded-For` counts: with no other one all visitors would share what one may use
PROXIES = "10.0.0.0/8,127.0.0.1"
HIDDEN = re.compile(r"AUDIOLLM_OWNER|.*(TOKEN|SECRET|PASSWORD|KEY)")  # visitors can read variables


@dataclass(frozen=True)
class SpaceOptions:
    """Of a Space. Empty fields leave what it has."""

    hardware: str = ""
    sleep: int | None = None  # s without visitors
    bucket: str = ""  # user/name; holds labels, jobs and models
    variables: tuple[str, ...] = ()  # NAME=VALUE
    secrets: tuple[str, ...] = ()  # names of environment variables
    public: bool = False


def calls(name: str, root: Path, options: SpaceOptions) -> list[Call]:
    """In the order in which they are made: what the program needs to start comes before it.

    Raises:
        ConfigError: an option cannot be used, or the program would refuse a variable.
    """
    from huggingface_hub import SpaceHardware, Volume

    hardware = [kind.value for kind in SpaceHardware]
    if options.hardware and options.hardware not in hardware:
        raise ConfigError("deploy_hardware", name=options.hardware, known=hardware)
    if options.hardware == SpaceHardware.CPU_BASIC and options.sleep is not None:
        raise ConfigError("deploy_sleep", name=options.hardware)
    sequence = creation(name, "space", public=options.public, space_sdk="gradio")
    slept = {"repo_id": name, "sleep_time": options.sleep}
    if options.hardware:
        sequence.append(Call("request_space_hardware", {**slept, "hardware": options.hardware}))
    elif options.sleep is not None:
        sequence.append(Call("set_space_sleep_time", slept))
    variables = {"FORWARDED_ALLOW_IPS": PROXIES, **_pairs(options.variables)}
    if options.bucket:
        variables = {"AUDIOLLM_HOME": MOUNT, **variables}
        volume = Volume(type="bucket", source=options.bucket, mount_path=MOUNT)
        sequence += [
            Call("create_bucket", {"bucket_id": options.bucket, "private": True, "exist_ok": True}),
            Call("set_space_volumes", {"repo_id": name, "volumes": [volume]}),
        ]
    for key, value in variables.items():
        sequence.append(Call("add_space_variable", {"repo_id": name, "key": key, "value": value}))
    secrets = {key: secret(key) for key in options.secrets}
    for key, value in secrets.items():
        if not value:
            raise ConfigError("deploy_no_secret", name=key)
        sequence.append(Call("add_space_secret", {"repo_id": name, "key": key, "value": value}))
    Settings.from_env({"AUDIOLLM_HOME": MOUNT, **variables, **secrets})  # as the Space reads them
    upload = {
        "repo_id": name,
        "repo_type": "space",
        "folder_path": str(root),
        "allow_patterns": tree.patterns(),
        "ignore_patterns": list(tree.IGNORED),
        "delete_patterns": ["*"],  # what is in the Space and no longer here
        "commit_message": "Deploy",
    }
    return [*sequence, Call("upload_folder", upload)]


def _pairs(words: Sequence[str]) -> dict[str, str]:
    variables = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*", key):
            raise ConfigError("deploy_variable", word=word)
        if HIDDEN.fullmatch(key):
            raise ConfigError("deploy_variable_secret", name=key)
        variables[key] = value
    return variables

"""The settings of the Train page as a file, which may come from anybody. No gradio here.

    {"audiollm_settings": 2, "name": "mine", "stage_1": {"epochs": 12.0}, "stage_2": {...}}

`stage_1` and `stage_2` hold options of `FitConfig`. Every value goes through `Plan` before the
page shows one of them.
"""

import json
from collections.abc import Mapping
from typing import Any

from audiollm.contracts.options import shown
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import ConfigError
from audiollm.web.train.plan import KEYS, OWN, Plan

LARGEST = 64 * 1024  # bytes of a file of settings
FORMAT, VERSION = "audiollm_settings", 2  # the key that every file has, and its value
RENAMED = {  # keys of version 1, which had no stages
    **{"steps_1": "max_steps_1", "steps_2": "max_steps_2", "batch": "batch_size"},
    **{"rate_1": "learning_rate_1", "rate_2": "learning_rate_2", "hidden": "hidden_size"},
    **{"tokens": "utterance_tokens", "smoothing": "label_smoothing"},
}


def serialise(plan: Plan) -> str:
    """A file of settings."""
    values = plan.values()
    stages: dict[str, dict[str, Any]] = {"stage_1": {}, "stage_2": {}}
    for key, (name, those) in KEYS.items():
        for stage in those:
            stages[f"stage_{stage}"][name] = values[key]
    content = {FORMAT: VERSION, **{name: values[name] for name in OWN}, **stages}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read(raw: bytes, values: Mapping[str, Any]) -> Plan:
    """The plan of a file; what it does not name stays as it is in `values`.

    Raises:
        ConfigError: it is no file of settings, or a key or a value in it is refused.
    """
    if len(raw) > LARGEST:
        raise ConfigError("settings_large", kb=LARGEST // 1024)
    try:
        content = parse_json(raw.decode("utf-8-sig"), parse_constant=_no_number)
    except ValueError:
        raise ConfigError("settings_broken") from None
    if not isinstance(content, dict) or FORMAT not in content:
        raise ConfigError("settings_broken")
    version = content.pop(FORMAT)
    if version not in (1, VERSION) or isinstance(version, bool):
        raise ConfigError("settings_version", value=shown(version), known=VERSION)
    fields = _renamed(content) if version == 1 else _flat(content)
    for key in fields:
        if key not in KEYS and key not in OWN:
            raise ConfigError("settings_key", name=shown(key))
    return Plan.of({**values, **fields})


def _renamed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Version 1 -> values of the page's fields."""
    fields = {RENAMED.get(key, key): value for key, value in content.items()}
    if "tokens" in content:  # stood for both
        fields["tokens_per_second"] = content["tokens"]
    return fields


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Version 2 -> values of the page's fields."""
    fields = {key: value for key, value in content.items() if key not in ("stage_1", "stage_2")}
    for stage in (1, 2):
        options = content.get(f"stage_{stage}", {})
        if not isinstance(options, dict):
            raise ConfigError("settings_broken")
        keys = {name: key for key, (name, those) in KEYS.items() if stage in those}
        for name, value in options.items():
            if name not in keys:
                raise ConfigError("settings_key", name=shown(name))
            if fields.setdefault(keys[name], value) != value:
                raise ConfigError("settings_differ", name=name)
    return fields


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")

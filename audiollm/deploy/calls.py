"""What is asked of the hub, as a list: it can be printed before anything is done."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from audiollm.errors import ConfigError


@dataclass(frozen=True)
class Call:
    """A call of `huggingface_hub.HfApi`."""

    method: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        """As Python; secrets and the content of files are left out."""
        arguments = {name: _shown(value) for name, value in self.arguments.items()}
        if self.method == "add_space_secret":
            arguments["value"] = "***"
        return f"{self.method}({', '.join(f'{name}={value}' for name, value in arguments.items())})"


def creation(id: str, kind: str, *, public: bool, **more: object) -> list[Call]:
    """Creates a repository, private without `public`. One that exists becomes public with it, and
    stays what it is without: `create_repo` alone does not change it."""
    repository = {"repo_id": id, "repo_type": kind}
    created = {**repository, **more, "private": not public, "exist_ok": True}
    published = Call("update_repo_settings", {**repository, "private": False})
    return [Call("create_repo", created), *([published] if public else [])]


def _shown(value: object) -> str:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else repr(value)


def run(calls: Iterable[Call]) -> Any:
    """Makes the calls in order, with the token of this machine; returns what the last one does.

    Raises:
        ConfigError: nobody is logged in, or the hub refuses a call. Those before are done; all of
            them may be made again.
    """
    import huggingface_hub

    api, answer = huggingface_hub.HfApi(), None
    if not huggingface_hub.get_token():
        raise ConfigError("deploy_login")
    for call in calls:
        try:
            answer = getattr(api, call.method)(**call.arguments)
        except Exception as error:  # the client raises whatever its HTTP library does
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
            raise ConfigError("deploy_refused", call=call.method, reason=reason) from error
    return answer


def full_name(name: str, *, ask: bool) -> str:
    """`user/name`; where the user is left out, whoever is logged in. Without `ask`: USER.

    Raises:
        ConfigError: it cannot be a name on the hub; nobody is logged in.
    """
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    if "/" not in name:
        name = f"{run([Call('whoami', {})])['name'] if ask else 'USER'}/{name}"
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ConfigError("deploy_name", name=name) from error
    return name

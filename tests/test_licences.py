"""The page of licences, and versions that have known vulnerabilities."""

import re
from importlib.metadata import PackageNotFoundError, version

import pytest

from audiollm import hub
from bench import licences

# package -> first version without the vulnerabilities known of it, and the last that was mended;
# checked without a network. https://github.com/advisories has them.
FLOORS = {
    "torch": ("2.10.0", "CVE-2026-24747"),  # torch.load with weights_only
    "transformers": ("5.5.0", "CVE-2026-5241"),  # code of a model folder; CVE-2026-4372 before
    "gradio": ("6.16.0", "GHSA-j36p-7w88-g82j"),  # paths outside of a folder; CVE-2026-28414 before
    "starlette": ("1.3.1", "CVE-2026-54283"),  # limits of forms; CVE-2026-48710, Host, before
    "python-multipart": ("0.0.26", "CVE-2026-40347"),  # an upload that takes a processor
    "pillow": ("12.3.0", "CVE-2026-59197"),  # CVE-2026-25990 before
    "scikit-learn": ("1.5.0", "CVE-2024-5206"),  # words of the training data kept in a vectoriser
    "pyyaml": ("5.4", "CVE-2020-14343"),  # code in YAML
    "httpx": ("0.23.0", "CVE-2021-41945"),  # addresses that are read as others
    "tqdm": ("4.66.3", "CVE-2024-34062"),  # arguments of its command run as code
}
BROUGHT = {  # of packages that these bring along, whose versions no line here bounds
    "h11": ("0.16.0", "CVE-2025-43859"),  # requests smuggled past a proxy
    "jinja2": ("3.1.6", "CVE-2025-27516"),  # code in a chat template
    "urllib3": (
        "2.7.0",
        "CVE-2026-44432",
    ),  # an answer that takes the memory; CVE-2026-21441 before
    "requests": ("2.32.4", "CVE-2024-47081"),  # passwords for another host
    "mcp": ("1.23.0", "CVE-2025-66416"),  # another site's calls of a local server
}


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:4])


def padded(text: str) -> tuple[int, ...]:
    return (*numbers(text), 0, 0, 0, 0)[:4]


def test_the_page_is_what_the_command_writes() -> None:
    written = licences.PAGE.read_text(encoding="utf-8")
    assert written == licences.page(), "run python -m bench.licences"


def test_every_package_and_every_preset_has_terms() -> None:
    for file in licences.REQUIREMENTS:
        for name in licences.requirements(file):
            assert licences.licence(name), name
    assert {*hub.ENCODERS, *hub.LLMS} <= set(licences.WEIGHTS)


def test_every_line_of_the_requirements_has_bounds_on_both_sides() -> None:
    for file in licences.REQUIREMENTS:
        lines = (licences.ROOT / file).read_text(encoding="utf-8").splitlines()
        named = [line for line in lines if line and not line.startswith(("#", "-r"))]
        bounds = licences.requirements(file)
        assert len(named) == len(bounds)
        assert all(re.fullmatch(r">=[\d.]+,<=?[\d.]+", each) for each in bounds.values())


@pytest.mark.parametrize("package", FLOORS)
def test_no_version_with_a_known_vulnerability_is_allowed(package: str) -> None:
    floor, reason = FLOORS[package]
    bounds = licences.requirements("requirements.txt")
    lowest = re.match(r">=([\d.]+)", bounds[package])
    assert lowest
    assert padded(lowest[1]) >= padded(floor), reason
    assert_installed(package, floor, reason)


@pytest.mark.parametrize("package", BROUGHT)
def test_no_package_that_comes_along_has_a_known_vulnerability(package: str) -> None:
    assert_installed(package, *BROUGHT[package])


def assert_installed(package: str, floor: str, reason: str) -> None:
    try:
        found = version(package)
    except PackageNotFoundError:
        pytest.skip("not installed")
    assert padded(found) >= padded(floor), reason

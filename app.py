"""The page, for people and for Spaces: `python app.py`, then open the address that it prints."""

import argparse
import logging
import sys

from audiollm.errors import AudioLLMError
from audiollm.jobs import temporary
from audiollm.settings import Settings, terminal_language
from audiollm.texts import console, text


def main(arguments: list[str] | None = None) -> None:
    """Settings -> services -> page, served until the process is stopped."""
    parser = argparse.ArgumentParser(prog="app.py", description=__doc__)
    parser.add_argument("--model", help="preset name or model folder that answers")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--host", help="address to listen on; 0.0.0.0 for the whole network")
    parser.add_argument("--port", type=int, help="port to listen on")
    parser.add_argument("--mcp", action="store_true", default=None, help="be an MCP server too")
    given = {k: v for k, v in vars(parser.parse_args(arguments)).items() if v is not None}
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    temporary.exit_when_stopped()
    console.accept_any_text()
    try:
        settings = Settings.from_env(**given)
        with temporary.folder():
            from audiollm import web  # noqa: PLC0415  # Gradio notes the folder when it is imported

            demo, address = web.serve(settings)
            print(text("serve_at", terminal_language(), address=address), flush=True)  # noqa: T201
            demo.block_thread()
    except AudioLLMError as error:
        sys.exit(error.in_language(terminal_language()))


if __name__ == "__main__":
    main()

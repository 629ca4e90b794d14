"""Token layouts of tokenizers with different chat templates."""

from typing import Any

import pytest
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from tokenizers.models import BPE
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from audiollm.errors import ModelError
from audiollm.labels import LANGUAGES
from audiollm.model.prompt import SENTINEL, Prompt, Turns
from audiollm.settings import ASSETS
from tests import tiny
from tests.codes import coded
from train.tiny.network import CHATML

LLAMA = (  # as Llama 3.2 writes it: a system turn with a date, contents trimmed
    "{{- bos_token }}{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}"
    "{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}"
    "{%- endif %}{{- 'Today Date: ' + date_string + '\n\n<|eot_id|>' }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' "
    "+ message['content'] | trim + '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
GEMMA = (  # no system turn; the assistant is called model
    "{{ bos_token }}{% for message in messages %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
QWEN = (  # ChatML with a system turn of its own
    "{% if messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}" + CHATML
)


def tokenizer(template: str | None, bos: str, end: str, *markers: str) -> Any:
    raw = ByteLevelBPETokenizer()
    raw.train_from_iterator(["angry happy neutral sad 生气 system user model"], vocab_size=300)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw._tokenizer,
        bos_token=bos,
        eos_token=end,
        pad_token=end,
        extra_special_tokens=list(markers),
        chat_template=template,
    )


def llama() -> Any:
    headers = ("<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>")
    return tokenizer(LLAMA, "<|begin_of_text|>", "<|eot_id|>", *headers)


def gemma() -> Any:
    return tokenizer(GEMMA, "<bos>", "<end_of_turn>", "<start_of_turn>")


def chatml(template: str | None) -> Any:
    return tokenizer(template, "<|endoftext|>", "<|im_end|>", "<|im_start|>")


@pytest.mark.parametrize("template", [None, CHATML, QWEN])
def test_chatml_has_the_turns_that_models_were_trained_with(template: str | None) -> None:
    turns = Turns.of(chatml(template))
    assert turns.user == "<|im_start|>user\n"
    assert turns.assistant == "<|im_end|>\n<|im_start|>assistant\n"
    assert turns.end.startswith("<|im_end|>")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_shipped_model_gets_the_ids_that_it_was_trained_with(language: Any) -> None:
    known: Any = AutoTokenizer.from_pretrained(ASSETS / "tiny", local_files_only=True)
    prompt = Prompt(known, ("angry", "sad"))

    def ids(text: str) -> tuple[int, ...]:
        return tuple(known(text, add_special_tokens=False)["input_ids"])

    layout = prompt.layout(language)
    question = known.decode(layout.head).removeprefix("<|im_start|>user\n")
    assert layout.head == ids(f"<|im_start|>user\n{question}")
    assert layout.tail == ids("<|im_end|>\n<|im_start|>assistant\n")
    assert (prompt.end,) == ids("<|im_end|>")


@pytest.mark.parametrize("make", [llama, gemma])
def test_other_templates_are_split_where_the_content_stands(make: Any) -> None:
    known = make()
    prompt = Prompt(known, tiny.CLASSES)
    layout = prompt.layout("en")
    content = known.decode(layout.head).partition("Which emotion")[2]
    message = {"role": "user", "content": f"Which emotion{content.rstrip()}"}
    whole = known.apply_chat_template(
        [message], tokenize=False, add_generation_prompt=True, date_string="26 Jul 2024"
    )
    assert known.decode(layout.head).rstrip() + known.decode(layout.tail) == whole
    assert layout.head[0] == known.bos_token_id and known.bos_token_id not in layout.tail
    assert prompt.answer("sad", "Low pitch.", "en")[-1] == prompt.end == known.eos_token_id
    sly = prompt.free(f"why{known.eos_token}angry", "en")
    assert sly.tail.count(prompt.end) == prompt.free("why angry", "en").tail.count(prompt.end)


def test_templates_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(ModelError, check=coded("prompt_no_template")):
        Prompt(tokenizer(None, "<s>", "</s>"), tiny.CLASSES)
    for broken in ("{{ raise_exception('no') }}", "hello", "{{ messages[0]['content'] * 2 }}"):
        with pytest.raises(ModelError, check=coded("prompt_template")):
            Prompt(tokenizer(broken, "<s>", "</s>"), tiny.CLASSES)


def test_an_answer_without_an_end_of_its_own_ends_with_the_eos_token() -> None:
    bare = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    known = tokenizer(bare, "<s>", "</s>")
    assert Prompt(known, tiny.CLASSES).end == known.eos_token_id
    assert SENTINEL not in known.decode(Prompt(known, tiny.CLASSES).layout("en").head)


@pytest.mark.parametrize("unknown", [None, "x"])
def test_a_tokenizer_that_cannot_tell_classes_apart_is_refused(unknown: str | None) -> None:
    """One of a single token has none for the classes, or the same for all."""
    raw = Tokenizer(BPE({"x": 0}, [], unk_token=unknown))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="x")
    tokenizer.chat_template = "{% for m in messages %}<{{ m.content }}>{% endfor %}"
    with pytest.raises(ModelError) as refused:
        Prompt(tokenizer, ("angry", "sad"))
    assert refused.value.code == "prompt_classes"

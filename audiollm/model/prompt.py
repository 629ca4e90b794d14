"""Templates and the token layout around the audio: the only copy.

    head                  audio           tail                                 answer
    {start of user turn}  [audio tokens]  {measured cues}{end of user turn}    {class}. {text}
    {instruction}\\n                       {start of assistant turn}            {end of turn}

The turns are those of the tokenizer's own chat template, rendered with a sentinel in the place of
the content and split there: `<|im_start|>user\\n` and `<|im_end|>\\n<|im_start|>assistant\\n` for
ChatML. The instruction comes first so that its keys and values can stay cached. Head, tail, class
word, separator and text are tokenised apart, so training, scoring and generation see the same ids.
The `original` style is that of the project this one grew out of: audio first, then the
question, and the answer names the class inside a fixed sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from audiollm.audio.prosody import REFERENCES, Cues
from audiollm.contracts.manifest import Manifest, PromptStyle
from audiollm.errors import ModelError
from audiollm.labels import LANGUAGES, Language, prompt_word

# `free`: a question in a person's own words, see `Prompt.free`; `report`: see `Prompt.report`
Kind = Literal["analyse", "classify", "describe", "yes_no", "report", "free"]

CHATML_USER, CHATML_END = "<|im_start|>user\n", "<|im_end|>"
CHATML_ASSISTANT = "<|im_end|>\n<|im_start|>assistant\n"
SENTINEL = "\u241fcontent\u241f"  # stands for a content while a template is rendered
SEPARATOR: dict[Language, str] = {"en": ".", "zh": "。"}

INSTRUCTIONS: dict[Kind, dict[Language, str]] = {
    "analyse": {
        "en": "Which emotion does this voice express: {classes}? Explain what you hear.",
        "zh": "这段声音表达了哪种情感：{classes}？请说明你听到了什么。",
    },
    "classify": {
        "en": "Classify the emotion of this voice: {classes}. Answer with one class.",
        "zh": "判断这段声音的情感类别：{classes}。只回答类别。",
    },
    "describe": {
        "en": "Describe how this voice sounds. Possible emotions: {classes}.",
        "zh": "描述这段声音听起来怎么样。可能的情感：{classes}。",
    },
    "yes_no": {
        "en": "Does this voice sound {candidate}?",
        "zh": "这段声音听起来{candidate}吗？",
    },
    "report": {
        "en": "Report how the voice in a recording sounds. Say what these facts say, and no more.",
        "zh": "说明一段录音中的声音听起来怎么样。只说下列事实所说的内容。",
    },
}

# Before free questions, with the audio tokens, probabilities and cues behind it
FREE: dict[Language, str] = {
    "en": (
        "Answer a question about a voice recording in one to four sentences. The probabilities of "
        "its emotions and measured cues are given. Nothing else is known: not the words, not the "
        "person, not health, honesty or thoughts. Decline such questions and other topics."
    ),
    "zh": (
        "用一到四句话回答关于一段录音的问题。已知情感的概率和测得的声学线索，其他一概不知："
        "不知道说话内容、说话人的身份、健康状况、是否诚实和内心想法。这类问题和其他话题请谢绝回答。"
    ),
}
STATED = 3  # classes whose probabilities stand before a free question
ORIGINAL_QUESTION = "判断音频的情感分类，需要从{classes}中选择"
ORIGINAL_ANSWER = "这个音频为<"
ORIGINAL_WORDS = {"surprised": "surprise", "fearful": "fear", "disgusted": "disgust"}


@dataclass(frozen=True)
class Turns:
    """What a chat template puts around the contents of one question and its answer."""

    user: str  # before the question
    assistant: str  # between question and answer
    end: str  # after the answer, begins with the token that ends it

    @classmethod
    def of(cls, tokenizer: Any) -> "Turns":
        """The turns of a tokenizer's own chat template.

        The system turn that ChatML templates bring along is left out: no model here was trained
        with one.

        Raises:
            ModelError: there is no template, or it changes the contents.
        """
        is_chatml = all(_single(tokenizer, marker) for marker in ("<|im_start|>", CHATML_END))
        if not getattr(tokenizer, "chat_template", None):
            if not is_chatml:
                raise ModelError("prompt_no_template")
            return cls(CHATML_USER, CHATML_ASSISTANT, CHATML_END)
        question = [{"role": "user", "content": SENTINEL}]
        conversation = [*question, {"role": "assistant", "content": SENTINEL}]
        options = {"tokenize": False, "date_string": "26 Jul 2024"}  # Llama 3: else it is today's
        try:
            prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, **options)
            user, assistant = prompt.split(SENTINEL)
            end = tokenizer.apply_chat_template(conversation, **options).split(SENTINEL)[2]
        except Exception as error:  # templates raise whatever their author likes
            raise ModelError("prompt_template", reason=str(error)[:200]) from error
        if is_chatml and CHATML_USER in user:
            user = CHATML_USER
        return cls(user, assistant, end.lstrip())


def _single(tokenizer: Any, marker: str) -> bool:
    return len(tokenizer(marker, add_special_tokens=False)["input_ids"]) == 1


@dataclass(frozen=True)
class Layout:
    """Token ids around the audio of one clip."""

    head: tuple[int, ...]
    tail: tuple[int, ...]


def cue_words(cues: Cues | None, language: Language) -> str:
    """The measured cues as the model reads them, `pitch high, tempo fast`; "" without cues."""
    if cues is None:
        return ""
    levels = [(r, r.level(cues)) for r in REFERENCES]
    words = [(r.name(language), r.word(level, language)) for r, level in levels if level]
    if language == "zh":
        return "，".join(name + value for name, value in words)
    return ", ".join(f"{name} {value}" for name, value in words)


def probability_words(probabilities: Mapping[str, float], language: Language) -> str:
    """The likeliest classes as the model reads them, `angry 72%, happy 14%`; "" without any."""
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])[:STATED]
    comma = "，" if language == "zh" else ", "
    return comma.join(f"{prompt_word(name, language)} {p:.0%}" for name, p in ranked)


class Prompt:
    """Turns instructions, cues and answers into token ids for one model's tokenizer and classes.

    Raises:
        ModelError: the tokenizer has no chat template that can be used, or does not tell the
            classes apart.
    """

    def __init__(
        self,
        tokenizer: Any,
        classes: Sequence[str],
        style: PromptStyle = "chat",
        languages: Sequence[Language] = (),
        first_tokens: bool = False,
    ) -> None:
        """
        Args:
            languages: what the model is asked in to score a clip; () for the answer's alone.
            first_tokens: classes are scored without cues, and by the first token of their words
                where these tokens differ.
        """
        self.tokenizer, self.classes, self.style = tokenizer, tuple(classes), style
        self.languages = tuple(languages)
        self.first_tokens = first_tokens and style == "chat"
        self.turns = Turns.of(tokenizer)
        end = self.ids(self.turns.end)
        self.end: int = end[0] if end else tokenizer.eos_token_id
        for language in self.languages or LANGUAGES:
            words = {self.label(name, language) for name in self.classes}
            if () in words or len(words) < len(self.classes):
                raise ModelError("prompt_classes", classes=self.classes)

    @classmethod
    def of(cls, tokenizer: Any, manifest: Manifest) -> "Prompt":
        """That of a model's folder."""
        style, languages = manifest.prompt, manifest.languages
        return cls(tokenizer, manifest.labels, style, languages, manifest.first_tokens)

    def ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def layout(
        self,
        language: Language,
        cues: Cues | None = None,
        kind: Kind = "analyse",
        candidate: str = "",
    ) -> Layout:
        """What stands before and after the audio for one question about a clip."""
        if self.style == "original":
            question = ORIGINAL_QUESTION.format(classes=[self._class_word(c) for c in self.classes])
            return Layout(
                (),
                self.ids(self.turns.user + question + self.turns.assistant)
                + self.ids(ORIGINAL_ANSWER),
            )
        comma = "、" if language == "zh" else ", "
        question = INSTRUCTIONS[kind][language].format(
            classes=comma.join(prompt_word(c, language) for c in self.classes),
            candidate=prompt_word(candidate, language),
        )
        measured = cue_words(cues, language)
        tail = (self.ids(measured) if measured else ()) + self.ids(self.turns.assistant)
        return Layout(self.ids(f"{self.turns.user}{question}\n"), tail)

    def free(
        self,
        question: str,
        language: Language,
        cues: Cues | None = None,
        probabilities: Mapping[str, float] | None = None,
    ) -> Layout:
        """What stands around the audio for a question in a person's own words.

        The head is the same for all questions of a language. Probabilities and cues stand before
        the question, so that the answer can agree with them.
        Marker tokens that the question spells out stay plain text: it cannot leave its turn.
        """
        encoded = self.tokenizer(question, add_special_tokens=False, split_special_tokens=True)
        context = [probability_words(probabilities or {}, language), cue_words(cues, language)]
        stated = "".join(f"\n{line}" for line in context if line)
        tail = self.ids(f"{stated}\n") + tuple(encoded["input_ids"])
        head = self.ids(f"{self.turns.user}{FREE[language]}\n")
        return Layout(head, tail + self.ids(self.turns.assistant))

    def report(self, facts: str, language: Language, start: str = "") -> Layout:
        """What stands before a written analysis of these facts, or before the rest of one that has
        a `start`. No audio is between the two."""
        head = self.ids(f"{self.turns.user}{INSTRUCTIONS['report'][language]}\n")
        return Layout(head, self.ids(facts) + self.ids(self.turns.assistant) + self.ids(start))

    def label(self, name: str, language: Language) -> tuple[int, ...]:
        """Ids of a class word and what ends it: no complete word is a prefix of another."""
        if self.style == "original":
            return self.ids(self._class_word(name)) + self.ids(">")
        return self.ids(prompt_word(name, language)) + self.ids(SEPARATOR[language])

    def firsts(self, languages: Sequence[Language]) -> dict[Language, list[int]]:
        """First tokens of the class words in each language, where classes are scored by them; {}
        where they are not, or two words begin alike."""
        tokens = {lang: [self.label(name, lang)[0] for name in self.classes] for lang in languages}
        distinct = all(len(set(ids)) == len(ids) for ids in tokens.values())
        return tokens if self.first_tokens and distinct else {}

    def class_words(self, name: str) -> tuple[int, ...]:
        """Ids of a class word within a sentence, in every language of the prompt."""
        words = [prompt_word(name, language) for language in self.languages]
        return tuple(i for word in words for i in self.ids(f" {word}" if word.isascii() else word))

    def answer(self, name: str, text: str, language: Language) -> tuple[int, ...]:
        """Ids of an answer that starts with the class `name` and goes on with `text`."""
        return self.label(name, language) + self.ids(text) + (self.end,)

    @staticmethod
    def _class_word(name: str) -> str:
        return ORIGINAL_WORDS.get(name, name)

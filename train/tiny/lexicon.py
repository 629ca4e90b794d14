"""Words that hint at emotions and at acoustic cues, and slots drawn from them.

A slot takes the position of the audio tokens. It holds evidence in the form that a projector can
produce: hints mixed in proportion, in one token or in many, in no order.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from audiollm.audio.prosody import Cues, Level, levels
from audiollm.labels import prompt_word

T = TypeVar("T")

SHARPNESS = 2  # a class answers with probability share ** SHARPNESS: graded, but decided

# class -> English words, Chinese words
HINTS: dict[str, tuple[str, str]] = {
    "angry": (
        "anger furious rage shouting hostile mad yelling outraged fierce irritated wrath enraged",
        "愤怒 怒 吼 火大 发火 怒气 暴躁 责骂 气愤 恼火 咆哮 敌意",
    ),
    "disgusted": (
        "disgust revolting nasty gross sickening repelled loathing yuck "
        "foul contempt aversion vile",
        "恶心 反感 讨厌 嫌弃 作呕 鄙视 厌弃 肮脏 呸 反胃 憎恶 不屑",
    ),
    "fearful": (
        "fear afraid scared terror panic frightened trembling anxious dread nervous horror alarmed",
        "害怕 惊恐 恐慌 颤抖 发抖 惧怕 胆怯 惊慌 畏惧 紧张 吓坏 焦虑",
    ),
    "happy": (
        "happiness joy laughing cheerful smile glad delighted merry pleased sunny joyful content",
        "快乐 高兴 喜悦 笑 欢乐 愉快 微笑 欢喜 乐 幸福 喜 欢笑",
    ),
    "neutral": (
        "plain even ordinary factual report objective routine reading impartial standard",
        "平静 中性 平淡 平常 客观 陈述 普通 朗读 平铺 一般 如常",
    ),
    "other": (
        "mixed ambivalent odd different elsewhere hybrid assorted various blended",
        "混合 别的 复杂 矛盾 另外 特殊 交织 杂 各异 别样 不同 其余",
    ),
    "sad": (
        "sadness sorrow crying grief tears mournful gloomy weeping "
        "unhappy heartbroken lonely tragic",
        "悲伤 伤心 哭 泪 哀伤 忧郁 悲痛 哽咽 哭泣 心碎 痛苦 孤独",
    ),
    "surprised": (
        "surprise astonished amazed wow sudden shocked startled unexpected "
        "gasp stunned oh incredible",
        "惊讶 惊奇 意外 震惊 突然 哇 诧异 愕然 惊呼 想不到 竟然",
    ),
    "unknown": (
        "unclear noise muffled static garbled inaudible nothing unreadable distant empty",
        "不明 噪声 模糊 听不清 杂音 不详 空白 难辨 沙沙 远 干扰",
    ),
    "bored": (
        "boredom dull yawn tedious weary listless monotone uninterested sluggish drowsy",
        "厌倦 乏味 哈欠 枯燥 无趣 单调 没劲 懒散 困倦 敷衍 麻木",
    ),
    "calm": (
        "peaceful gentle relaxed serene quiet composed soothing tranquil placid settled",
        "宁静 安宁 放松 从容 温和 镇定 沉稳 安详 舒缓 淡定 恬静 平和",
    ),
    "excited": (
        "excitement thrilled eager energetic animated hyped ecstatic passionate pumped",
        "激动 热情 振奋 狂喜 雀跃 亢奋 沸腾 热烈 活跃 激昂 欢呼 期待",
    ),
    "frustrated": (
        "frustration annoyed stuck sigh exasperated discouraged defeated blocked hopeless helpless",
        "挫败 烦躁 叹气 泄气 无奈 郁闷 烦 受挫 灰心 丧气 失望 无助",
    ),
}

# cue and level -> English words, Chinese words
CUE_HINTS: dict[tuple[str, Level | None], tuple[str, str]] = {
    ("pitch_hz", "low"): ("deep bass", "低沉 低音"),
    ("pitch_hz", "mid"): ("midpitch", "中音"),
    ("pitch_hz", "high"): ("shrill treble", "尖 高音"),
    ("pitch_range_st", "low"): ("level", "平板"),
    ("pitch_range_st", "mid"): ("intoned", "平顺"),
    ("pitch_range_st", "high"): ("singing swinging", "抑扬 顿挫"),
    ("brightness_db", "low"): ("mellow dark", "暗 闷"),
    ("brightness_db", "mid"): ("rounded", "圆润"),
    ("brightness_db", "high"): ("sharp tense", "亮 刺耳"),
    ("tempo_hz", "low"): ("dragging", "慢 拖"),
    ("tempo_hz", "mid"): ("walking", "稳步"),
    ("tempo_hz", "high"): ("hurried rapid", "快 急促"),
    ("pause_share", "mid"): ("fluent", "流畅"),
    ("pause_share", "high"): ("halting broken", "停 断续"),
    ("pitch_hz", None): ("whispered", "气声"),  # no voice: pitch, melody and tempo not measured
}

FILLER = "the a of and in voice sound this one 的 了 是 一 在 声 音 说 人 话"


def hints(name: str) -> tuple[str, ...]:
    """Every hint of a class, its own words among them."""
    return (prompt_word(name, "en"), prompt_word(name, "zh"), *" ".join(HINTS[name]).split())


def cue_hints(cue: str, level: Level | None) -> tuple[str, ...]:
    """Every hint of a cue at a level; none where the level has no words of its own."""
    return tuple(" ".join(CUE_HINTS.get((cue, level), ("", ""))).split())


def every_word() -> tuple[str, ...]:
    """All words that can stand in a slot."""
    classes = [w for name in HINTS for w in hints(name)]
    cues = [w for cue, level in CUE_HINTS for w in cue_hints(cue, level)]
    return tuple(dict.fromkeys([*classes, *cues, *FILLER.split()]))


@dataclass(frozen=True, eq=False)
class Slot:
    """Evidence for one clip: N tokens, each a convex mixture of at most K vocabulary entries."""

    ids: NDArray[np.int64]  # [N, K]
    weights: NDArray[np.float32]  # [N, K], rows sum to 1
    scale: float = 0.0  # root mean square of a token over that of the embeddings; 0: as it comes
    noise: float = 0.0  # added, relative to the token

    def __len__(self) -> int:
        return len(self.ids)


Shares = dict[str, float]  # class -> share of the evidence, summing to 1


def likely(shares: Shares, classes: Sequence[str]) -> NDArray[np.float64]:
    """Probability that each class of a list is the answer, [C]; sums to 1.

    Evidence for classes outside the list counts for nothing.
    """
    mass = np.array([shares.get(name, 0.0) for name in classes]) ** SHARPNESS
    return mass / mass.sum()


def draw_shares(classes: Sequence[str], rng: np.random.Generator) -> Shares:
    """One leading class of the list, with 40 to 100 % of the evidence, and up to three others."""
    leader = _pick(classes, rng)
    rest = [name for name in HINTS if name != leader]
    listed = [name for name in rest if name in classes]
    pool = listed if rng.random() < 0.8 else rest
    others = [pool[k] for k in rng.permutation(len(pool))[: int(rng.integers(1, 4))]]
    share = float(rng.uniform(0.4, 1.0))
    parts = rng.dirichlet(np.ones(len(others))) * (1 - share)
    return {leader: share} | dict(zip(others, parts.tolist(), strict=True))


def _cue_words(cues: Cues | None, rng: np.random.Generator) -> list[str]:
    """One hint for each measured cue; usual levels need no mention and get one half the time."""
    if cues is None:
        return []
    stated: list[tuple[str, Level | None]] = [
        (cue, level) for cue, level in levels(cues).items() if level != "mid" or rng.random() < 0.5
    ]
    if cues.pitch_hz is None:
        stated.append(("pitch_hz", None))
    words = [cue_hints(cue, level) for cue, level in stated]
    return [_pick(w, rng) for w in words if w]


class SlotDrawer:
    """Draws slots for one tokenizer. `ids`: text -> token ids.

    Raises:
        ValueError: the tokenizer's vocabulary holds no hint of some class as one token.
    """

    def __init__(self, ids: Callable[[str], tuple[int, ...]]) -> None:
        self.tokens = {w: ids(w) for w in every_word()}
        self.hints = {name: [self.tokens[w] for w in hints(name)] for name in HINTS}
        self.filler = [self.tokens[w] for w in FILLER.split()]
        self.single = {
            name: np.array([t[0] for t in tokens if len(t) == 1], np.int64)
            for name, tokens in self.hints.items()
        }
        for name, tokens in self.single.items():
            if not len(tokens):
                raise ValueError(f"no hint of {name} is one token: the vocabulary is too small")

    def words(
        self, shares: Shares, cues: Cues | None, rng: np.random.Generator
    ) -> tuple[Slot, Shares]:
        """2 to 16 hints as plain words in both languages, and the shares that came out."""
        names = list(shares)
        count = int(rng.integers(2, 17))
        drawn = np.repeat(np.arange(len(names)), rng.multinomial(count, list(shares.values())))
        if 0 not in drawn:
            drawn[0] = 0  # the leader is in the list of classes
        spoken = [_pick(self.hints[names[k]], rng) for k in drawn]
        spoken += [self.tokens[w] for w in _cue_words(cues, rng)]
        spoken += [_pick(self.filler, rng) for _ in range(int(rng.integers(0, count // 2 + 1)))]
        ids = [i for k in rng.permutation(len(spoken)) for i in spoken[k]]
        slot = Slot(np.array(ids, np.int64)[:, None], np.ones((len(ids), 1), np.float32))
        return slot, {names[k]: n / count for k, n in Counter(drawn.tolist()).items()}

    def mixed(
        self, shares: Shares, cues: Cues | None, rng: np.random.Generator
    ) -> tuple[Slot, Shares]:
        """1 to 24 mixtures of the hints' embeddings with noise, as a projector makes them, and
        the shares that came out. Every token leans its own way, as the frames of a voice do."""
        names = list(shares)
        count = int(np.ceil(24 ** rng.uniform(0, 1)))
        lean = rng.uniform(2, 40) * np.array(list(shares.values())) + 1e-3
        parts = rng.dirichlet(lean, size=count)  # [N, classes]
        cue_words = [self.tokens[w][0] for w in _cue_words(cues, rng)]
        cue_part = rng.uniform(0.1, 0.5) if cue_words else 0.0
        filler_part = rng.uniform(0, 0.3) if rng.random() < 0.5 else 0.0
        ids, weights = [], []
        for name, part in zip(names, parts.T, strict=True):
            size = int(rng.integers(1, 4))  # words that share this class's part
            ids.append(rng.choice(self.single[name], size=(count, size)))
            weights.append(np.repeat(part[:, None] / size, size, 1) * (1 - cue_part - filler_part))
        if cue_words:
            ids.append(np.tile(cue_words, (count, 1)))
            weights.append(np.full((count, len(cue_words)), cue_part / len(cue_words)))
        if filler_part:
            ids.append(np.array([[_pick(self.filler, rng)[0]] for _ in range(count)]))
            weights.append(np.full((count, 1), filler_part))
        slot = Slot(
            ids=np.concatenate(ids, 1),
            weights=np.concatenate(weights, 1).astype(np.float32),
            scale=float(rng.uniform(0.7, 1.4)),
            noise=float(rng.uniform(0, 0.5)),
        )
        return slot, dict(zip(names, parts.mean(0).tolist(), strict=True))


def _pick(items: Sequence[T], rng: np.random.Generator) -> T:
    return items[int(rng.integers(len(items)))]

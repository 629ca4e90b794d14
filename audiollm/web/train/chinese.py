"""What `python -m train prepare`, `look` and `compare` write, in Chinese. No gradio here.

The commands write English, once, into their files; the page says the same in the
reader's language. What nobody has translated stays English and says that it is.
"""

import re

KINDS = {  # of a rejected file: what stands before the first colon of its reason
    "no speech": "没有检测到语音",
    "unreadable": "无法读取",
    "too long": "过长",
    "identical audio": "声音重复",
    "identical audio, other label": "声音重复但标签不同",
    "class left out": "不在所选类别中",
    "not JSON": "不是 JSON",
    "label not understood": "标签无法识别",
    "no agreed label": "标注者意见不一",
    "no label": "没有标签",
    "no class": "不在类别文件夹中",
    "no speaker": "未找到说话人",
    "no file": "没有写明文件",
    "file missing": "文件不存在",
    "split not understood": "划分无法识别",
    "several speakers": "多人同时说话",
    "misnamed": "文件名不符合规则",
    "not a feature": "不是特征文件",
    "no feature": "没有特征",
}
DETAILS = (  # pattern of what follows the colon -> the same in Chinese
    (r"(\d+) s of at most ([\d.]+)", "{} 秒，最多 {} 秒"),
    (r"the same sound as (.+)", "与 {} 相同"),
    (r"(.+) is not among --classes", "{}"),
    (r"'(.*)' is not train, valid or test", "“{}”应为 train、valid 或 test"),
    (r"not like (.+)", "应类似 {}"),
    (r"'(.*)' is no \w+ code", "“{}”"),
    (r"(\S+) is the number of no named class", "编号 {} 没有对应的类别"),
    (r"the speaker pattern finds none in the path", "路径中没有与表达式匹配的部分"),
)
NOTES = (
    (r"(.+): the split that the corpus brings", "{}：采用语料自带的划分"),
    (r"(.+): it has no test side, .+", "{}：没有测试部分，因此用验证部分测试"),
    (
        r"(.+): split at random, .+",
        "{}：随机划分，同一个人可能既训练又测试，因此结果会偏高",
    ),
    (r"(.+): (.+) stand on two sides of it, .+", "{}：{} 同时出现在两个部分，因此结果会偏高"),
    (r"(.+): who speaks is unknown, .+", "{}：说话人未知，同一个人可能既训练又测试"),
    (r"(.+): the valid side is held out of train, by speaker", "{}：验证说话人取自训练部分"),
    (r"(.+): the valid side is held out of train at random", "{}：验证录音从训练部分随机抽取"),
    (
        r"(.+): two speakers only: (.+) is the test side, .+ held out of (.+), who .+",
        "{}：只有两位说话人：{} 用于测试，验证录音取自 {}，此人也参与训练",
    ),
    (r"(.+): (\d+) speakers only, .+", "{}：只有 {} 位说话人，结果只代表个别人"),
    (r"(.+): tests, whole", "{}：全部用于测试"),
    (r"those who would validate train too, .+", "验证说话人也参与训练，因此没有验证"),
    (r"Not speaker-independent: the encoder was trained on (.+)\.", "编码器学过 {} 的声音"),
    (r"It is not known whose voices (.+) was trained on\.", "不知道 {} 学过哪些人的声音"),
    (r"Judged by the (\d+) classes that both know.*\.", "只比较两者都认识的 {} 个类别"),
    (r"It could not be compared with (.+?): (.+)", "未能与 {} 比较（英文）：{}"),
    (r"a trial: at most (\d+) clips of each corpus were taken", "试验：每个语料最多取 {} 段"),
)
ENGLISH = "（英文）"


def kind(said: str) -> str:
    """The kind of a rejection, in Chinese where it is known."""
    return KINDS.get(said, said)


def reason(said: str) -> str:
    """Why a file is not used."""
    what, _, detail = said.partition(": ")
    if what not in KINDS:
        return ENGLISH + said
    # what is decoded is told at length, in English: its kind says it
    told = _translated(detail, DETAILS)
    return f"{KINDS[what]}（{told}）" if told else KINDS[what]


def note(said: str) -> str:
    """A note on how recordings are divided."""
    return _translated(said, NOTES) or ENGLISH + said


def _translated(said: str, table: tuple[tuple[str, str], ...]) -> str:
    """The first entry that fits all of it; "" where none does."""
    for pattern, chinese in table:
        found = re.fullmatch(pattern, said, re.S)
        if found:
            return chinese.format(*found.groups())
    return ""

"""What stands before a page that is the owner's, in Chinese and English."""

from audiollm.labels import Language

DOOR: dict[str, dict[Language, str]] = {
    "refused": {
        "en": "Only the owner of this page may do this: log in on the Train page.",
        "zh": "只有本页面的所有者可以这样做：请先在“训练”页面登录。",
    },
    "door_open": {
        "en": "This page is open only on the computer that runs it, under its own address "
        "(127.0.0.1 or localhost). You came through a proxy, a tunnel or another name: whoever "
        "runs it can set AUDIOLLM_OWNER, and then you can log in here.",
        "zh": "此页面只能在运行它的电脑上、通过其自身地址（127.0.0.1 或 localhost）打开。"
        "你是经由代理、隧道或其他域名访问的：管理员可以设置 AUDIOLLM_OWNER，之后即可在此登录。",
    },
    "door_shut": {
        "en": "Other computers can reach this page, and no login is set up, so it is shut for "
        "everybody. Whoever runs it can set AUDIOLLM_OWNER=name:password and start it again, or "
        "open it without --host on the computer itself.",
        "zh": "其他电脑也能访问本页面，而且没有设置登录，因此对所有人关闭。"
        "管理员可以设置 AUDIOLLM_OWNER=用户名:密码 并重新启动，或不带 --host 在本机打开。",
    },
    "door_shut_space": {
        "en": "This Space has no login, so this page is shut for everybody. Its owner can write "
        "hf_oauth: true into the head of its README.",
        "zh": "此 Space 没有启用登录，因此本页面对所有人关闭。"
        "其所有者可以在 README 开头加入 hf_oauth: true。",
    },
    "door_zero_gpu": {
        "en": "Nothing can be trained on a ZeroGPU Space: it lends a GPU for a minute at a time.",
        "zh": "ZeroGPU Space 无法训练：它每次只短时借出 GPU。",
    },
    "door_elsewhere": {
        "en": "Train on another computer instead: the same program does it there.",
        "zh": "可以在其他电脑上训练，使用的是同一个程序。",
    },
    "elsewhere_own": {"en": "On a computer of your own", "zh": "在自己的电脑上"},
    "elsewhere_job": {
        "en": "On a rented GPU, with Hugging Face Jobs (after hf auth login)",
        "zh": "租用 GPU：Hugging Face Jobs（先运行 hf auth login）",
    },
    "door_password": {
        "en": "This page is for the owner of the computer that runs it. Log in to go on; to "
        "analyse a recording you need no login.",
        "zh": "此页面仅供运行它的电脑的所有者使用，请先登录；分析录音无需登录。",
    },
    "door_hub": {
        "en": "This page is for the owner of this Space. Log in with the account that owns it; to "
        "analyse a recording you need no login.",
        "zh": "此页面仅供此 Space 的所有者使用，请用其账号登录；分析录音无需登录。",
    },
    "door_name": {"en": "Name", "zh": "用户名"},
    "door_secret": {"en": "Password", "zh": "密码"},
    "door_enter": {"en": "Log in", "zh": "登录"},
    "door_leave": {"en": "Log out", "zh": "退出登录"},
    "door_wrong": {
        "en": "Name or password is wrong: try again.",
        "zh": "用户名或密码不正确，请重试。",
    },
    "door_busy": {
        "en": "Too many are logging in at this moment: try again in a few seconds.",
        "zh": "当前登录尝试过多，请几秒后再试。",
    },
    "door_failed": {
        "en": "The login did not arrive: open the page under the address that its owner gave you, "
        "with cookies allowed, then try again.",
        "zh": "登录没有成功：请用所有者提供的地址打开页面，并允许使用 Cookie，然后重试。",
    },
}

"""Every sentence about the recordings of the Train page, in Chinese and English."""

from audiollm.labels import Language

DATA: dict[str, dict[Language, str]] = {
    "train_data_title": {"en": "What it learns from", "zh": "用什么数据训练"},
    "train_source": {"en": "Recordings", "zh": "录音"},
    "train_source_info": {
        "en": "What was prepared before need not be listened to again.",
        "zh": "已准备好的数据不必重新处理。",
    },
    "source_emodb": {
        "en": "Berlin EmoDB, which ships with this program",
        "zh": "本程序自带的柏林 EmoDB",
    },
    "source_folder": {
        "en": "a folder on this computer, or an upload",
        "zh": "本机上的一个文件夹，或上传的文件",
    },
    "source_hub": {"en": "a data set of the Hugging Face hub", "zh": "Hugging Face 上的数据集"},
    "source_prepared": {
        "en": "prepared: {name} ({clips} clips)",
        "zh": "已准备：{name}（{clips} 段）",
    },
    "train_upload": {
        "en": "Upload: a zip of recordings, or a CSV or JSONL table",
        "zh": "上传：录音的 zip 压缩包，或 CSV、JSONL 表格",
    },
    "train_folder": {"en": "Folder or table", "zh": "文件夹或表格"},
    "train_folder_info": {
        "en": "A folder with one folder of sound files for each emotion, a saved data set, or a "
        "CSV with the columns file, label, speaker. An upload fills this in.",
        "zh": "每种情感一个子文件夹，其中放音频文件；或已保存的数据集；"
        "或含 file、label、speaker 三列的 CSV 文件。上传后会自动填写。",
    },
    "train_data_set": {"en": "Data set", "zh": "数据集"},
    "train_data_set_info": {
        "en": "Its name on the hub, user/name. It is downloaded when it is prepared.",
        "zh": "它在 Hugging Face 上的名称：用户名/数据集名。准备时才会下载。",
    },
    "train_pattern": {"en": "Where a file's path names the speaker", "zh": "路径中的说话人"},
    "train_pattern_info": {
        "en": "For folders: a regular expression, as (spk\\d+) or /(\\d\\d)_. What is in brackets "
        "is the speaker.",
        "zh": "用于文件夹：正则表达式，例如 (spk\\d+) 或 /(\\d\\d)_，括号中的部分就是说话人。",
    },
    "train_alone": {
        "en": "Nobody knows who speaks: divide at random",
        "zh": "说话人未知：随机划分",
    },
    "train_alone_info": {
        "en": "The same voice may then learn and test, and the figures flatter the model.",
        "zh": "同一个人可能既训练又测试，因此结果会偏高。",
    },
    "train_prepare": {"en": "Prepare only", "zh": "只准备数据"},
    "prepare_started": {
        "en": "{name} is being prepared. Afterwards it is chosen here with all that was found.",
        "zh": "正在准备 {name}。完成后会在此选中它，并显示全部信息。",
    },
    "prepare_twice": {
        "en": "These recordings are prepared already: choose {name} among the recordings.",
        "zh": "这些录音已经准备好：请在“录音”中选择 {name}。",
    },
    # what they hold
    "data_folder": {
        "en": "Name the recordings, or upload them: what is in them will stand here.",
        "zh": "请填写录音的位置，或上传录音：这里会显示其中的内容。",
    },
    "data_hub": {
        "en": "{id} has {files} files, {mb} MB. What is in them is known when it is prepared.",
        "zh": "{id} 共 {files} 个文件，{mb} MB。准备之后才知道其中的内容。",
    },
    "data_hub_rows": {"en": "{split}: {n} recordings", "zh": "{split}：{n} 段录音"},
    "data_side": {"en": "Used to", "zh": "用途"},
    "data_clips": {"en": "Recordings", "zh": "录音"},
    "data_speakers": {"en": "Speakers", "zh": "说话人"},
    "data_minutes": {"en": "Minutes", "zh": "分钟"},
    "data_about": {"en": "about {n}", "zh": "约 {n}"},
    "data_all": {"en": "all", "zh": "全部"},
    "side_train": {"en": "learn", "zh": "训练"},
    "side_valid": {"en": "choose the best", "zh": "验证"},
    "side_test": {"en": "test", "zh": "测试"},
    "data_planned": {
        "en": "Nothing is prepared yet: so the files would be divided, and not one was checked.",
        "zh": "尚未准备：以上为预计的划分，文件还没有逐个检查。",
    },
    "data_class": {
        "en": "{clips} · {speakers} sp. · {minutes} min",
        "zh": "{clips} 段 · {speakers} 人 · {minutes} 分钟",
    },
    "data_lengths": {
        "en": "Half of the recordings are longer than {median} s; nine in ten last {low} to "
        "{high} s.",
        "zh": "一半的录音长于 {median} 秒；九成在 {low} 到 {high} 秒之间。",
    },
    "data_length": {
        "en": "Nearly all recordings last {median} s.",
        "zh": "几乎所有录音都是 {median} 秒。",
    },
    "data_estimated": {
        "en": "Lengths are estimated from {n} of them.",
        "zh": "时长根据其中 {n} 段估计。",
    },
    "data_rejected": {
        "en": "Files that are not used: {n}.",
        "zh": "{n} 个文件未使用。",
    },
    "data_rejected_first": {"en": "Which ones", "zh": "具体文件"},
    "data_rejected_all": {"en": "The whole list: {file}", "zh": "完整列表：{file}"},
    # what is wrong with them
    "data_trouble": {
        "en": "They cannot be prepared like this: {sentence}",
        "zh": "这样无法准备。详细信息（英文）：{sentence}",
    },
    "data_nameless": {
        "en": "{n} of {all} recordings do not say who speaks, so they cannot be prepared like "
        "this: say above where the path names the speaker, or divide at random.",
        "zh": "{all} 段录音中有 {n} 段不知道说话人，因此还不能准备："
        "请在上方说明路径中哪一部分是说话人，或选择随机划分。",
    },
    "data_shared": {
        "en": "Speakers who stand on two sides: {n}. The test will look better than the model is.",
        "zh": "有 {n} 位说话人同时出现在训练和测试中：测试结果会偏高。",
    },
    "data_twins": {
        "en": "Sounds that stand on two sides: {n}. The test will look better than the model is.",
        "zh": "有 {n} 段相同的声音同时出现在训练和测试中：测试结果会偏高。",
    },
    "data_copies": {
        "en": "Files that are copies of another one: {n}. Each sound is used once.",
        "zh": "{n} 个文件与其他文件相同：同样的声音只使用一次。",
    },
    "data_unknown": {
        "en": "Nobody knows who speaks, so the test may look better than the model is.",
        "zh": "说话人未知，因此测试结果可能偏高。",
    },
    "data_few": {
        "en": "Only one speaker tests: the figures will be about this person alone.",
        "zh": "只有一位说话人用于测试：结果只代表这一个人。",
    },
    "data_absent": {
        "en": "Nobody expresses {classes} among those who {side}.",
        "zh": "用于“{side}”的录音中没有：{classes}。",
    },
    "data_uneven": {
        "en": "The rarest emotion is {few} ({n}), the commonest {many} ({m}): expect more "
        "mistakes on the rare one.",
        "zh": "最少的情感“{few}”有 {n} 段，最多的“{many}”有 {m} 段：前者的错误会更多。",
    },
    # listening
    "hear_label": {"en": "Emotion", "zh": "情感"},
    "hear_next": {"en": "Hear one", "zh": "听一段"},
    "hear_sound": {"en": "Recording", "zh": "录音"},
    "hear_told": {
        "en": "{label}, said by {speaker}; {file}",
        "zh": "{label}，说话人：{speaker}；{file}",
    },
    "hear_used": {"en": "used to {side}", "zh": "用途：{side}"},
    "hear_nobody": {"en": "somebody unknown", "zh": "未知"},
    "hear_none": {
        "en": "There is none to listen to yet: prepare them first.",
        "zh": "还没有可以听的录音：请先准备数据。",
    },
    # uploads
    "upload_kept": {"en": "Uploaded before", "zh": "已上传的录音"},
    "upload_delete": {"en": "Delete this upload", "zh": "删除这次上传"},
    "upload_sure": {
        "en": "Delete {name} with its {n} sound files for good? What was prepared from it and "
        "models that learned from it hold no sound and stay.",
        "zh": "确定永久删除 {name} 及其中的 {n} 个音频文件吗？"
        "由它准备的数据和训练的模型不含声音，会保留。",
    },
    "upload_yes": {"en": "Yes, delete", "zh": "确定删除"},
    "upload_no": {"en": "Keep it", "zh": "保留"},
    "upload_deleted": {"en": "{name} was deleted.", "zh": "{name} 已删除。"},
    "upload_gone": {
        "en": "There is no upload {name} any more: reload the page.",
        "zh": "上传的 {name} 已不存在：请刷新页面。",
    },
    "upload_used": {
        "en": "{job} is to read {name}: wait until it is done, or stop and remove it first.",
        "zh": "任务 {job} 还需要读取 {name}：请等它完成，或先停止并移除该任务。",
    },
    "upload_stays": {
        "en": "{name} could not be deleted ({reason}): delete its folder by hand.",
        "zh": "无法删除 {name}（{reason}）：请手动删除其文件夹。",
    },
    "upload_done": {
        "en": "Recordings unpacked into {place}: {files}.",
        "zh": "已解压 {files} 段录音到 {place}。",
    },
    "upload_table": {"en": "The table is kept as {place}.", "zh": "表格已保存为 {place}。"},
    "upload_left": {"en": "Left out: {what}.", "zh": "未解压：{what}。"},
    "left_hidden": {"en": "hidden files {n}", "zh": "{n} 个隐藏文件"},
    "left_unsafe": {"en": "names that lead elsewhere {n}", "zh": "{n} 个指向别处的文件名"},
    "left_link": {"en": "links {n}", "zh": "{n} 个链接"},
    "left_archive": {"en": "archives inside {n}", "zh": "{n} 个内嵌压缩包"},
    "left_kind": {"en": "files that are no sound {n}", "zh": "{n} 个非音频文件"},
    "left_twice": {"en": "names that are there twice {n}", "zh": "{n} 个重复的文件名"},
    "left_large": {"en": "files that are too large {n}", "zh": "{n} 个过大的文件"},
    "upload_kind": {
        "en": "{name} is neither a zip nor a .csv or .jsonl table: pack the recordings into a zip.",
        "zh": "{name} 不是 zip，也不是 .csv 或 .jsonl 表格：请把录音打包成 zip。",
    },
    "upload_large": {
        "en": "{name} is larger than {mb} MB: put it on this computer and name its folder instead.",
        "zh": "{name} 超过 {mb} MB：请把它放到本机上，再填写文件夹路径。",
    },
    "upload_unpacked": {
        "en": "Unpacked, the zip would hold more than {mb} MB: unpack it yourself and name the "
        "folder instead.",
        "zh": "该 zip 解压后超过 {mb} MB：请自行解压，再填写文件夹路径。",
    },
    "upload_many": {
        "en": "The zip holds more than {most} files: unpack it yourself and name the folder "
        "instead.",
        "zh": "该 zip 含有超过 {most} 个文件：请自行解压，再填写文件夹路径。",
    },
    "upload_locked": {
        "en": "{name} is locked with a password: pack it again without one.",
        "zh": "{name} 设有密码：请重新打包，不要加密。",
    },
    "upload_broken": {
        "en": "{name} is damaged or no zip: pack and upload it again.",
        "zh": "{name} 已损坏或不是 zip：请重新打包并上传。",
    },
    "upload_nothing": {
        "en": "The zip holds no sound file: pack the recordings themselves.",
        "zh": "该 zip 中没有音频文件：请把录音本身打包。",
    },
    "upload_classes": {
        "en": "The zip says of no recording what it expresses: put them into one folder for each "
        "emotion, or add a manifest.csv with the columns file, label, speaker.",
        "zh": "该 zip 没有说明每段录音的情感：请按情感分文件夹，"
        "或加入含 file、label、speaker 三列的 manifest.csv。",
    },
    "upload_tables": {
        "en": "The zip holds several tables ({names}): call the one that counts manifest.csv.",
        "zh": "该 zip 中有多个表格（{names}）：请把要用的一个命名为 manifest.csv。",
    },
    "upload_outside": {
        "en": "{name}, line {line}, names a file outside the zip: write paths as they are inside.",
        "zh": "{name} 第 {line} 行指向 zip 之外的文件：请写 zip 内的路径。",
    },
    "upload_text": {
        "en": "{name} is no text: save the table as CSV in UTF-8.",
        "zh": "{name} 不是文本：请把表格保存为 UTF-8 编码的 CSV。",
    },
    "upload_full": {
        "en": "The disk is full: make room and upload it again.",
        "zh": "磁盘已满：请腾出空间后重新上传。",
    },
    "upload_disk": {
        "en": "It could not be kept ({reason}): check the folder of AUDIOLLM_HOME.",
        "zh": "无法保存（{reason}）：请检查 AUDIOLLM_HOME 文件夹。",
    },
    # looking
    "look_slow": {
        "en": "{place} takes too long to look at: press Prepare only, which has the time.",
        "zh": "查看 {place} 用时过长：请点击“只准备数据”，那里不限时间。",
    },
    "look_failed": {
        "en": "{place} could not be looked at; the program's log says why.",
        "zh": "无法查看 {place}，原因见程序日志。",
    },
    "hub_id": {
        "en": "A data set of the hub is called user/name, not {id!r}.",
        "zh": "Hugging Face 数据集的名称形如“用户名/数据集名”，而不是 {id!r}。",
    },
    "hub_missing": {
        "en": "There is no data set {id} on the hub, or it is private: check the name, or log in "
        "with hf auth login.",
        "zh": "没有名为 {id} 的数据集，或它是私有的：请检查名称，或先运行 hf auth login 登录。",
    },
    "hub_gated": {
        "en": "{id} wants its terms accepted: do so on its page on the hub, then hf auth login.",
        "zh": "使用 {id} 需要先同意其条款：请在它的网页上同意，再运行 hf auth login。",
    },
    "hub_silent": {
        "en": "The hub does not answer from here. On a computer that reaches it: hf download "
        "--repo-type dataset {id} --local-dir FOLDER; bring that folder here and name it above.",
        "zh": "此处无法连接 Hugging Face。请在能连接的电脑上运行 hf download --repo-type dataset "
        "{id} --local-dir 文件夹，再把该文件夹带到本机，并在上方填写其路径。",
    },
}

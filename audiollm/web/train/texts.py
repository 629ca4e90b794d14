"""Every sentence of the Train page in Chinese and English; texts.py joins them to the rest."""

from audiollm.labels import Language

TRAINING: dict[str, dict[Language, str]] = {
    "tab_train": {"en": "Train", "zh": "训练"},
    "train_intro": {
        "en": "Teach a model of your own: choose recordings, start, and come back later. The "
        "training goes on when this page is closed.",
        "zh": "训练你自己的模型：选择录音，点击开始，之后再回来查看。关闭页面后训练会继续。",
    },
    "train_settings_title": {"en": "How it learns", "zh": "如何训练"},
    "train_name": {"en": "Name of the model", "zh": "模型名称"},
    "train_name_info": {
        "en": "Under this name it is listed on the Analyse page.",
        "zh": "它将以此名称出现在“分析”页面。",
    },
    "train_llm": {"en": "Language model", "zh": "语言模型"},
    "train_llm_info": {
        "en": "What the voice is explained to. tiny ships with the program; a hub name or a folder "
        "will do too, and wants more memory and time.",
        "zh": "由它理解声音。tiny 为自带模型；也可填模型库名称或文件夹，需要更多内存和时间。",
    },
    "train_epochs_1": {"en": "Stage 1: passes", "zh": "第一阶段：轮数"},
    "train_epochs_1_info": {
        "en": "How often each recording is heard while the projector learns to listen.",
        "zh": "投影层学习“听”时，每段录音用几遍。",
    },
    "train_epochs_2": {"en": "Stage 2: passes", "zh": "第二阶段：轮数"},
    "train_epochs_2_info": {
        "en": "How often, while the language model learns to answer.",
        "zh": "语言模型学习回答时，每段录音用几遍。",
    },
    "train_more": {"en": "More settings", "zh": "更多设置"},
    "train_steps_1": {"en": "Stage 1: steps", "zh": "第一阶段：步数"},
    "train_steps_1_info": {
        "en": "Exactly so many steps, whatever the passes; 0: as the passes say.",
        "zh": "固定步数，不看轮数；0 表示按轮数。",
    },
    "train_steps_2": {"en": "Stage 2: steps", "zh": "第二阶段：步数"},
    "train_steps_2_info": {"en": "The same for stage 2.", "zh": "同上，用于第二阶段。"},
    "train_batch": {"en": "Examples at once", "zh": "批大小"},
    "train_batch_info": {
        "en": "More need more memory and make each step steadier.",
        "zh": "越大越占内存，每一步也越稳定。",
    },
    "train_clips": {"en": "Recordings at most", "zh": "最多使用的录音数"},
    "train_clips_info": {
        "en": "For a quick trial; 0: all. Prepared data is always taken whole.",
        "zh": "用于快速试验；0 表示全部。已准备的数据总是全部使用。",
    },
    "train_encoder": {"en": "Encoder", "zh": "编码器"},
    "train_encoder_info": {
        "en": "Who listens to new recordings. whisper-base-front ships with the program.",
        "zh": "由它来听新的录音。whisper-base-front 为自带编码器。",
    },
    "train_seed": {"en": "Seed", "zh": "随机种子"},
    "train_seed_info": {
        "en": "The same number gives the same training again.",
        "zh": "相同的数字会得到相同的训练过程。",
    },
    "train_device": {"en": "Device", "zh": "设备"},
    "train_device_info": {
        "en": "cpu, mps, cuda or cuda:N. One training runs on each, the others wait. "
        "On cuda it computes in bfloat16 where the GPU has it.",
        "zh": "cpu、mps、cuda 或 cuda:N。每个设备同时只运行一个训练，其余依次排队。"
        "在支持的 GPU 上使用 bfloat16。",
    },
    "train_sound": {
        "en": "Sound when a training ends, while this page is open",
        "zh": "训练结束时发出提示音（需保持页面打开）",
    },
    "settings_save": {"en": "Save these settings", "zh": "保存设置"},
    "settings_load": {"en": "Load settings", "zh": "载入设置"},
    "settings_loaded": {
        "en": "The settings were loaded; the model will be called {name}.",
        "zh": "设置已载入，模型名称为 {name}。",
    },
    "settings_large": {
        "en": "This file is larger than {kb} kB, so it holds no settings: choose another.",
        "zh": "此文件超过 {kb} kB，不是设置文件：请选择其他文件。",
    },
    "settings_broken": {
        "en": "This file holds no settings of this page: choose one that it has saved.",
        "zh": "此文件不是本页面的设置：请选择由本页面保存的文件。",
    },
    "settings_version": {
        "en": "These settings are of version {value}, and this program knows version {known}: save "
        "them anew.",
        "zh": "这些设置的版本为 {value}，而本程序只认识版本 {known}：请重新保存。",
    },
    "settings_key": {
        "en": "The file names a setting {name} that is not known here: take it out.",
        "zh": "文件中的设置项 {name} 不存在：请将其删除。",
    },
    "settings_value": {
        "en": "The setting {name} cannot be {value}: mend the file.",
        "zh": "设置项 {name} 的值不能是 {value}：请修改文件。",
    },
    "settings_source": {
        "en": "The recordings {value} are not prepared on this computer: prepare them, or take "
        "source out of the file.",
        "zh": "本机没有已准备的录音 {value}：请先准备，或从文件中删除 source。",
    },
    "train_commands": {
        "en": "The same in a terminal",
        "zh": "在终端中执行同样的步骤",
    },
    "train_start": {"en": "Start training", "zh": "开始训练"},
    "train_started": {
        "en": "{name} is on its way. You may close this page.",
        "zh": "{name} 已开始。可以关闭此页面。",
    },
    "train_refused": {"en": "{sentence}", "zh": "没有完成。详细信息（英文）：{sentence}"},
    "train_bug": {
        "en": "The program failed here. That is a fault of the program; its log holds the details.",
        "zh": "程序在此处出错。这是程序的问题，详情见运行日志。",
    },
    "jobs_title": {"en": "Trainings", "zh": "训练任务"},
    "jobs": {"en": "Which one to look at", "zh": "查看哪一个"},
    "jobs_none": {"en": "There is no training yet.", "zh": "还没有训练任务。"},
    "job_line": {"en": "{name}: {state}, {share}", "zh": "{name}：{state}，{share}"},
    "job_waiting": {"en": "waiting for its turn", "zh": "排队中"},
    "job_running": {"en": "running", "zh": "进行中"},
    "job_stopping": {"en": "saving, then it stops", "zh": "正在保存并停止"},
    "job_stopped": {"en": "stopped", "zh": "已停止"},
    "job_interrupted": {"en": "interrupted", "zh": "已中断"},
    "job_failed": {"en": "failed", "zh": "失败"},
    "job_done": {"en": "done", "zh": "已完成"},
    "job_step": {"en": "Step {n} of {all}: {step}", "zh": "第 {n} 步，共 {all} 步：{step}"},
    "job_left": {"en": "about {left} left in this step", "zh": "本步骤大约还需 {left}"},
    "step_prepare": {"en": "listening to the recordings", "zh": "处理录音"},
    "step_fit1": {"en": "stage 1, learning to listen", "zh": "第一阶段，学习听"},
    "step_fit2": {"en": "stage 2, learning to answer", "zh": "第二阶段，学习回答"},
    "step_merge": {"en": "putting the model together", "zh": "合并模型"},
    "step_evaluate": {"en": "testing it", "zh": "测试模型"},
    "gone": {
        "en": "{sentence}",
        "zh": "任务没有说明原因就结束了：进程被终止，或电脑重启过。点击“继续”，"
        "将从最近的检查点接着训练。",
    },
    "full": {"en": "{sentence}", "zh": "磁盘已满：请腾出空间，然后点击“继续”。"},
    "job_stop": {"en": "Save and stop", "zh": "保存并停止"},
    "job_kill": {"en": "End now", "zh": "立即结束"},
    "job_resume": {"en": "Resume", "zh": "继续"},
    "job_remove": {"en": "Remove from the list", "zh": "从列表中移除"},
    "overlay": {"en": "Draw beside it", "zh": "叠加显示"},
    "overlay_info": {
        "en": "The curves of other trainings, for comparison.",
        "zh": "其他训练的曲线，用于比较。",
    },
    "curve_loss": {
        "en": "Loss: learning, and on validation speakers (dotted)",
        "zh": "损失：训练，以及验证说话人（虚线）",
    },
    "curve_loss_alone": {
        "en": "Loss: learning (all recordings teach, nobody validates)",
        "zh": "损失：训练（全部录音用于训练，没有验证说话人）",
    },
    "curve_ua": {"en": "UA on validation speakers", "zh": "验证说话人的 UA"},
    "curve_step": {"en": "steps", "zh": "步数"},
    "curve_name": {"en": "{name}, stage {stage}", "zh": "{name}，第 {stage} 阶段"},
    "log": {"en": "Log", "zh": "日志（英文）"},
    "result_title": {"en": "How good it is", "zh": "效果如何"},
    "result_model": {"en": "Model", "zh": "模型"},
    "result_data": {"en": "Tested on", "zh": "测试数据"},
    "result_in_use": {"en": "{name} (answers now)", "zh": "{name}（正在使用）"},
    "result_means": {
        "en": "UA: recall averaged over the emotions. WA: share of right answers. In brackets: 95% "
        "interval. Figures on other recordings cannot be compared strictly.",
        "zh": "UA：各情感召回率的平均。WA：答对的比例。括号内为 95% 区间。"
        "不同录音上的数字不能严格比较。",
    },
    "promote": {"en": "Let it answer", "zh": "使用这个模型"},
    "promote_anyway": {"en": "Let it answer anyway", "zh": "仍然使用"},
    "roll_back": {"en": "Back to the model before", "zh": "换回之前的模型"},
    "promoted": {
        "en": "From now on {name} answers on the Analyse page; loading it takes a few seconds.",
        "zh": "从现在起由 {name} 在“分析”页面回答；加载需要几秒钟。",
    },
    "promote_worse": {
        "en": "{name} has UA {new}, the model that answers now has {old}: it is worse.",
        "zh": "{name} 的 UA 为 {new}，正在使用的模型为 {old}：它更差。",
    },
    "promote_unmeasured": {
        "en": "{name} was not tested, so nobody knows whether it is worse.",
        "zh": "{name} 尚未测试，不知道是否更差。",
    },
}

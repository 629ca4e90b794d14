"""Labels by people: tasks, labels, agreement, files. Without gradio."""

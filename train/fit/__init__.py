"""Stage 1 and stage 2, and the merge of LoRA into a model folder."""

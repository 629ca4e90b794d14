"""Labels by people: what there is to label, who said what, what follows from it. No gradio here."""

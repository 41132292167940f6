"""What golden examples need to know of a manifest."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What the manifest says of the text's way into the model, as far as examples need it."""

    labels: list[str]
    preprocess: dict
    onnx: dict
    temperature: float
    problem: str

    @classmethod
    def of(cls, manifest: dict) -> "Settings":
        """Reads a manifest."""
        return cls(
            labels=manifest["labels"],
            preprocess=manifest["preprocess"],
            onnx=manifest["onnx"],
            temperature=manifest.get("calibration", {}).get("temperature", 1.0),
            problem=manifest.get("problem_type", "single_label_classification"),
        )

    def cut(self, text: str) -> str:
        """As much of the text as the server reads."""
        limit = self.preprocess.get("max_bytes", 8192)
        kept = text.encode()
        if self.preprocess.get("truncation") == "start":
            return kept[max(0, len(kept) - limit) :].decode(errors="ignore")
        return kept[:limit].decode(errors="ignore")

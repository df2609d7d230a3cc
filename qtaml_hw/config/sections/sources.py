"""The network and data sections: where the weights and the images come from."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from qtaml_hw.config.reading.quantities import Section
from qtaml_hw.config.sections.kinds import FilePath, Flag, OneOf, Positive, ScalarAsList, factory_name
from qtaml_hw.names import DATA_SETS, DEFAULT_DATA, DEFAULT_NETWORK, NETWORKS


def _safe_weights(text: str) -> str:
    if not text.endswith(".safetensors"):
        raise ValueError(f"{text[:80]!r} is not a .safetensors file; other formats can run code when they are read")
    return text


def _gguf(text: str) -> str:
    if not text.endswith(".gguf"):
        raise ValueError(f"{text[:80]!r} is not a .gguf file")
    return text


def _npz(text: str) -> str:
    if not text.endswith(".npz"):
        raise ValueError(f"{text[:80]!r} is not a .npz file")
    return text


def _texts(text: str) -> str:
    if text not in BUILT_IN_TEXTS and not text.endswith(".txt"):
        raise ValueError(f"{text[:80]!r} is neither a .txt file nor {' or '.join(map(repr, BUILT_IN_TEXTS))}")
    return text


BUILT_IN_TEXTS: Final = ("sentences", "dataset-descriptions")


Factory = Annotated[str, AfterValidator(factory_name)]


def _exactly_one(section: Section, names: tuple[str, ...], what: str) -> None:
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        found = f"got {' and '.join(given)}" if given else "got none"
        raise ValueError(f"{what} is given by exactly one of {', '.join(names)}; {found}")


def _model_file(text: str) -> str:
    if text.endswith(".pt2"):
        raise ValueError(
            f"{text[:80]!r} is a program of torch.export, which is not read: write it with torch.onnx.export"
        )
    if not text.endswith(MODEL_FILES):
        raise ValueError(f"{text[:80]!r} is no model file; it ends in {', '.join(MODEL_FILES)}")
    return text


MODEL_FILES: Final = (".onnx", ".tflite")
Patterns = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field(min_length=1), ScalarAsList]


class StoreSection(Section):
    """Which tensors live in the memory; without it what matrix products multiply with."""

    include: Patterns | None = Field(None, description="only tensors whose names match one of these (* and ? allowed)")
    exclude: Patterns | None = Field(None, description="none of the tensors whose names match one of these")
    biases: Flag = Field(False, description="biases too, in the format of the weights")
    norms: Flag = Field(False, description="scales and shifts of norm layers too")
    embeddings: Flag = Field(False, description="embedding tables too")
    others: Flag = Field(False, description="parameters of no such layer too, such as class tokens")
    scales: Flag = Field(False, description="scales, zero points and minima in the same array, as codes of their own")

    usual: ClassVar = {"scales": False}


class EncoderSection(Section):
    """A text encoder from a local Hugging Face folder: config.json, .safetensors, tokenizer.json."""

    folder: FilePath = Field(description="the folder, from the study's folder")
    pooling: Literal["mean", "cls"] = Field("mean", description="tokens to one embedding: their mean, or the first")
    tokens: Annotated[Positive, Field(le=4096)] = Field(64, description="texts are cut or padded to so many tokens")


class NetworkSection(Section):
    """An embedded network by name, or a user's own: a factory and weights, a model file, an encoder's folder."""

    name: Annotated[str | None, OneOf(NETWORKS, "network")] = Field(
        None, description=f"embedded network; the default is {DEFAULT_NETWORK}"
    )
    factory: Factory | None = Field(None, description="'package.module:function' that returns a torch.nn.Module")
    arguments: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the factory")
    weights: Annotated[FilePath, AfterValidator(_safe_weights)] | None = Field(
        None, description="weights of the factory's network: a .safetensors file, from the study's folder"
    )
    keys: dict[str, str] | None = Field(
        None, description="how keys of the weights file begin -> how they begin in the network"
    )
    file: Annotated[FilePath, AfterValidator(_model_file)] | None = Field(
        None, description="a model file with its weights: .onnx or .tflite, from the study's folder"
    )
    output: str | None = Field(None, description="the output of a model file that is judged, where it has several")
    encoder: EncoderSection | None = Field(None, description="a text encoder from a local folder")
    folder: FilePath | None = Field(
        None, description="a causal language model: a local Hugging Face folder of config.json and .safetensors"
    )
    gguf: Annotated[FilePath, AfterValidator(_gguf)] | None = Field(
        None, description="a causal language model: a .gguf file, with its tokenizer"
    )
    store: StoreSection | None = Field(None, description="which tensors live in the memory")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _exactly_one(self, ("name", "factory", "file", "encoder", "folder", "gguf"), "a network")
        extra = [name for name in ("arguments", "weights", "keys") if getattr(self, name)]
        if extra and self.factory is None:
            raise ValueError(f"{extra[0]} goes with a factory; other networks bring their own weights")
        if self.output is not None and self.file is None:
            raise ValueError("output names one of a model file's outputs: it goes with file")
        if self.keys and self.weights is None:
            raise ValueError("keys renames what a weights file holds, and there is none: add weights")
        return self

    @property
    def language(self) -> str | None:
        """Where a language model is, a folder or a file; None for other networks."""
        return self.folder or self.gguf


class IdxFiles(Section):
    """Images and labels as MNIST is published (plain or gzip); the training pair serves hardening."""

    images: FilePath = Field(description="test images")
    labels: FilePath = Field(description="test labels")
    train_images: FilePath | None = Field(None, description="training images")
    train_labels: FilePath | None = Field(None, description="training labels")

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.train_images is None) != (self.train_labels is None):
            raise ValueError("train_images and train_labels come together")
        return self


class NpzFile(Section):
    """A NumPy archive and the names of its arrays."""

    path: Annotated[FilePath, AfterValidator(_npz)] = Field(description="the .npz file")
    x: str = Field("x", description="name of the test images in it")
    y: str = Field("y", description="name of the test labels in it")
    train_x: str | None = Field(None, description="name of the training images in it")
    train_y: str | None = Field(None, description="name of the training labels in it")
    inputs: Annotated[dict[str, str], Field(min_length=1, max_length=64)] | None = Field(
        None, description="instead of x: the array of every input of the network by the input's name, taken as it is"
    )

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.train_x is None) != (self.train_y is None):
            raise ValueError("train_x and train_y come together")
        if self.inputs is not None and self.train_x is not None:
            raise ValueError("inputs are of a network that is not trained: leave out train_x and train_y")
        return self


Number = Annotated[float, Field(ge=-1e6, le=1e6)]


class PreprocessingSection(Section):
    """From stored images to what the network takes: x = (image * scale - mean) / std."""

    scale: Annotated[float, Field(gt=0.0, le=1e6)] | None = Field(
        None, description="factor; the default is 1/255 for uint8 images, else 1"
    )
    mean: Annotated[tuple[Number, ...], Field(min_length=1), ScalarAsList] = Field(
        (0.0,), description="one value, or one per channel"
    )
    std: Annotated[tuple[Annotated[float, Field(gt=0.0, le=1e6)], ...], Field(min_length=1), ScalarAsList] = Field(
        (1.0,), description="one value, or one per channel"
    )
    layout: Literal["nchw", "nhwc"] = Field("nchw", description="axes of four-dimensional images")


class DataSection(Section):
    """Labelled images: an embedded set, files, or a factory."""

    name: Annotated[str | None, OneOf(DATA_SETS, "data set")] = Field(
        None, description=f"embedded data set; the default is {DEFAULT_DATA}"
    )
    idx: IdxFiles | None = Field(None, description="IDX files (as MNIST is published)")
    npz: NpzFile | None = Field(None, description="a .npz file with images and labels")
    texts: Annotated[FilePath, AfterValidator(_texts)] | None = Field(
        None,
        description="for an encoder a .txt file with a text per line, or 'sentences', 120 of the product's own; for "
        "a language model a .txt file (three blank lines between texts) or 'dataset-descriptions' of scikit-learn",
    )
    tokens: Annotated[Positive, Field(le=65_536)] = Field(128, description="of a window, for a language model")
    stride: Positive | None = Field(
        None, description="tokens from one window to the next; the default is half a window; every token is judged once"
    )
    factory: Factory | None = Field(None, description="'package.module:function' that returns images and labels")
    preprocessing: PreprocessingSection | None = Field(None, description="of the images in idx and npz files")
    calibration: Positive = Field(
        256,
        le=1_000_000,
        description="images of the test set that are set aside for plans, corrections and predictions, never judged",
    )
    take: Literal["first", "spread"] = Field(
        "first", description="fewer images than there are: the first ones, or evenly spaced ones (sorted files)"
    )

    usual: ClassVar = {"take": "first", "tokens": 128, "stride": None}

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _exactly_one(self, ("name", "idx", "npz", "texts", "factory"), "data")
        if self.preprocessing is not None and self.idx is None and self.npz is None:
            raise ValueError("preprocessing is for idx and npz files; other data come ready for the network")
        return self

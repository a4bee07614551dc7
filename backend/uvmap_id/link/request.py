"""What a person asks for: the one value that decides a texture set, and the bounds of each of its fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar

from .errors import ErrorCode, LinkError, UVMapError
from .region import Region

PROMPT_LIMIT = 2000
SUBJECT_LIMIT = 200
NAME_LIMIT = 100
SEED_LIMIT = 2**31
FACES_LIMIT = 8
DEFAULT_RELIGHT = 0.85
SIZES = (512, 1024, 2048, 4096)
ENGINES = ("auto", "projection", "uvmap-id")
MAPS = ("base_color", "normal", "roughness")
EXTRA_MAPS = ("orm", "subsurface")
NORMAL_CONVENTIONS = ("opengl", "directx")
PRESETS = ("exact", "balanced", "draft")
STEPS_LIMIT = 200
GUIDANCE_LIMIT = 30.0
IDENTITY_STRENGTH_LIMIT = 2.0
# The released UVMap-ID script's; the paper names none.
DEFAULT_NEGATIVE_PROMPT = "monochrome, lowres, bad anatomy, worst quality, low quality, blurry"
# The paper's, with a place for the age that is empty unless the subject names one.
DEFAULT_TEMPLATE = "a sks texturemap of {age} {ethnicity} {gender} {prompt}"

Value = TypeVar("Value")

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Setting:
    """How one of the diffusion engine's settings is shown and bounded, the same wherever a person meets it.

    Attributes:
        title: Its name for a person.
        description: What it does, one sentence without a full stop.
        lowest: The smallest number, for numbers.
        highest: The largest number, for numbers.
        choices: What it may be, where that is a closed list.
        longest: How many characters it may have, for other texts.
    """

    title: str
    description: str
    lowest: float = 0.0
    highest: float = 1.0
    choices: tuple[str, ...] = ()
    longest: int = NAME_LIMIT


def _setting(default: Value, setting: Setting) -> Value:
    return field(default=default, metadata={"setting": setting})


@dataclass(frozen=True, slots=True)
class DiffusionSettings:
    """What the engine "uvmap-id" is told; the projection engine looks at none of it.

    The defaults are the paper's (section 4.1), but for the negative prompt. `SETTINGS` says what each field is.
    """

    weights: str = _setting("", Setting("Weights", "Which installed weights, by their id; empty takes the best"))
    preset: str = _setting(
        "exact",
        Setting("Preset", "Does every step in full, or says in the manifest what it skips", choices=PRESETS),
    )
    steps: int = _setting(50, Setting("Steps", "Denoising steps", lowest=1, highest=STEPS_LIMIT))
    scheduler: str = _setting("ddim", Setting("Scheduler", "A scheduler of diffusers by its short name, such as ddim"))
    guidance: float = _setting(
        7.5, Setting("Guidance", "How firmly the text is followed; 1 is no guidance", lowest=1, highest=GUIDANCE_LIMIT)
    )
    guidance_start: float = _setting(
        0.0, Setting("Guidance Start", "Where guidance sets in, as a fraction of the steps")
    )
    guidance_stop: float = _setting(1.0, Setting("Guidance Stop", "Where guidance ends, as a fraction of the steps"))
    identity_strength: float = _setting(
        1.0,
        Setting(
            "Identity Strength",
            "Weight of the face's identity beside the text; 1 is the paper's",
            highest=IDENTITY_STRENGTH_LIMIT,
        ),
    )
    negative_prompt: str = _setting(
        DEFAULT_NEGATIVE_PROMPT, Setting("Negative Prompt", "What is not wanted", longest=PROMPT_LIMIT)
    )
    template: str = _setting(
        DEFAULT_TEMPLATE,
        Setting(
            "Template",
            "How the text is put together; knows {prompt}, {ethnicity}, {gender}, {age} and {subject}",
            longest=PROMPT_LIMIT,
        ),
    )
    anchor: float = _setting(
        0.0, Setting("Anchor", "How firmly the projected photo holds the face; 0 is the paper's pipeline")
    )
    upscaler: str = _setting(
        "lanczos", Setting("Upscaler", "What enlarges the 512 px texture: lanczos, or the id of an upscaler's weights")
    )

    def validate(self) -> None:
        """Raise `UVMapError` with the code of the first field that can't be accepted."""
        for name, setting in SETTINGS.items():
            _validate_setting(setting, getattr(self, name))


SETTINGS: Mapping[str, Setting] = {item.name: item.metadata["setting"] for item in fields(DiffusionSettings)}


def _validate_setting(setting: Setting, value: str | float) -> None:
    name = setting.title.lower()
    if isinstance(value, str):
        if setting.choices and value not in setting.choices:
            raise _out_of_range(name, value, f"Choose one of {', '.join(setting.choices)}.")
        is_name = setting.longest == NAME_LIMIT
        too_long = ErrorCode.SETTING_OUT_OF_RANGE if is_name else ErrorCode.PROMPT_TOO_LONG
        _validate_text(name, value, setting.longest, too_long)
    elif not setting.lowest <= value <= setting.highest:
        raise _out_of_range(name, value, f"Choose {setting.lowest:g} to {setting.highest:g}.")


def _out_of_range(name: str, value: object, hint: str) -> UVMapError:
    return UVMapError(ErrorCode.SETTING_OUT_OF_RANGE, f"The {name} can't be {str(value)[:40]}.", hint)


@dataclass(frozen=True, slots=True)
class TextureRequest:
    """Everything that decides a texture set: the same request gives the same bytes.

    Attributes:
        face_sha256: Hash of the photo's file, 64 hex digits. The file itself travels beside the request.
        prompt: What the person wears, e.g. "wearing white shirt, blue jeans".
        subject: The person in words, e.g. "asian woman". May be empty.
        engine: One of `ENGINES`.
        size: Side of the square maps in texels, one of `SIZES`.
        seed: 0 <= seed < 2**31.
        relight: How much of the photo's light is taken out of the face, 0 to 1.
        more_faces: Hashes of further files for the identity: photos of the same person, or .npy embeddings.
        extra_maps: Maps beyond `MAPS`, out of `EXTRA_MAPS`.
        normal_convention: One of `NORMAL_CONVENTIONS`: whether green is up or down in the normal map.
        diffusion: For the engine "uvmap-id".
        region: What of an existing texture set is made anew; empty for a whole new one.
    """

    face_sha256: str
    prompt: str
    subject: str = ""
    engine: str = "auto"
    size: int = 1024
    seed: int = 0
    relight: float = DEFAULT_RELIGHT
    more_faces: tuple[str, ...] = ()
    extra_maps: tuple[str, ...] = ()
    normal_convention: str = "opengl"
    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)
    region: Region = field(default_factory=Region)

    @property
    def faces(self) -> tuple[str, ...]:
        """Hashes of the files that show the person; the first is a photo."""
        return (self.face_sha256, *self.more_faces)

    @property
    def files(self) -> tuple[str, ...]:
        """Hashes of all files that travel beside the request, in their order."""
        return (*self.faces, *self.region.files)

    def validate(self) -> None:
        """Raise `UVMapError` with the code of the first field that can't be accepted."""
        if not all(_SHA256.fullmatch(digest) for digest in self.faces):
            raise LinkError("The photo's hash is not 64 hex digits.")
        if len(self.more_faces) >= FACES_LIMIT:
            raise _out_of_range("number of photos", len(self.more_faces) + 1, f"Choose at most {FACES_LIMIT}.")
        _validate_text("prompt", self.prompt, PROMPT_LIMIT, ErrorCode.PROMPT_TOO_LONG)
        _validate_text("subject", self.subject, SUBJECT_LIMIT, ErrorCode.SUBJECT_TOO_LONG)
        if not self.prompt.strip():
            raise UVMapError(
                ErrorCode.PROMPT_EMPTY,
                "The prompt is empty.",
                'Say what the person wears, for example "wearing white shirt, blue jeans".',
            )
        if self.engine not in ENGINES:
            raise UVMapError(
                ErrorCode.ENGINE_UNKNOWN, f'There is no engine "{self.engine}".', f"Choose one of {', '.join(ENGINES)}."
            )
        if self.size not in SIZES:
            sizes = ", ".join(map(str, SIZES))
            raise UVMapError(
                ErrorCode.SIZE_NOT_OFFERED, f"A size of {self.size} is not offered.", f"Choose one of {sizes}."
            )
        if not 0 <= self.seed < SEED_LIMIT:
            raise UVMapError(
                ErrorCode.SEED_OUT_OF_RANGE,
                f"The seed {self.seed} is out of range.",
                f"Choose a seed from 0 to {SEED_LIMIT - 1}.",
            )
        if not 0 <= self.relight <= 1:
            raise UVMapError(
                ErrorCode.RELIGHT_OUT_OF_RANGE,
                f"A relight of {self.relight} is out of range.",
                "Choose a number from 0 (keep the photo's light) to 1 (take it out).",
            )
        for number, name in enumerate(self.extra_maps):
            if name not in EXTRA_MAPS or name in self.extra_maps[:number]:
                raise _out_of_range("extra map", name, f"Choose of {', '.join(EXTRA_MAPS)}, each once.")
        if self.normal_convention not in NORMAL_CONVENTIONS:
            raise _out_of_range(
                "normal convention", self.normal_convention, f"Choose one of {', '.join(NORMAL_CONVENTIONS)}."
            )
        self.diffusion.validate()
        self.region.validate()


def _validate_text(name: str, text: str, limit: int, too_long: ErrorCode) -> None:
    if len(text) > limit:
        raise UVMapError(
            too_long, f"The {name} has {len(text):,} characters.", f"Shorten it to at most {limit:,} characters."
        )
    if any(ord(character) < 32 and character not in "\t\n\r" for character in text) or not _is_unicode(text):
        raise UVMapError(
            ErrorCode.TEXT_INVALID, f"The {name} holds control characters.", "Type it again as plain text."
        )


def _is_unicode(text: str) -> bool:
    """False for lone surrogates, which Python strings may hold and UTF-8 can't."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)
